//! What fuzzing kept of unit files (`fuzz/corpus/unitfile`), through the target's function.

use std::path::Path;

#[test]
fn every_kept_unit_file_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/unitfile");
    let mut count = 0;
    for file in std::fs::read_dir(corpus).expect("the target has a corpus") {
        let path = file.expect("the corpus can be listed").path();
        runstead_core::unitfile::fuzz(&std::fs::read(&path).expect("an input can be read"));
        count += 1;
    }
    assert!(count > 0, "the corpus is empty");
}
