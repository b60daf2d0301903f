//! `docs/directives.md` is made from the table. `UPDATE_DOCS=1 cargo test -p runstead-core --test directives_page`
//! writes it anew.

use runstead_core::directives::listing::page;
use std::path::Path;

#[test]
fn the_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/directives.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).expect("docs can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page(), "docs/directives.md differs from the table; UPDATE_DOCS=1 writes it anew");
}
