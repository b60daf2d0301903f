//! What fuzzing kept (`fuzz/corpus`), through the function of each target: all that was once reached, and all that once failed.

use runstead_wire::fuzzing::TARGETS;
use std::path::Path;

#[test]
fn every_kept_input_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in TARGETS {
        let files = std::fs::read_dir(corpus.join(name)).expect("every target has a corpus");
        let mut count = 0;
        for file in files {
            let path = file.expect("the corpus can be listed").path();
            target(&std::fs::read(&path).expect("an input can be read"));
            count += 1;
        }
        assert!(count > 0, "the corpus of {name} is empty");
    }
}
