use super::*;
use crate::rundir::tests::Scratch;
use std::fs;
use std::os::unix::fs::symlink;

struct Tree {
    scratch: Scratch,
    loader: Loader,
}

impl Tree {
    fn new(name: &str) -> Tree {
        let scratch = Scratch::new(&format!("loader-{name}"));
        let paths: Vec<String> =
            ["etc", "run/systemd/transient", "usr"].iter().map(|dir| scratch.join(dir)).collect();
        paths.iter().for_each(|path| fs::create_dir_all(path).expect("mkdir"));
        let loader = Loader::new(paths, &scratch.join("run"));
        Tree { scratch, loader }
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.scratch.0.join(path);
        fs::create_dir_all(path.parent().expect("below the scratch")).expect("mkdir");
        fs::write(path, text).expect("write");
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.scratch.0.join(path);
        fs::create_dir_all(path.parent().expect("below the scratch")).expect("mkdir");
        symlink(target, path).expect("link");
    }

    fn load(&mut self, text: &str) -> LoadedUnit {
        self.loader.look_again();
        self.loader.load(&[name(text)]).remove(0)
    }
}

fn name(text: &str) -> UnitName {
    UnitName::parse(text).expect("valid")
}

fn names(list: &[UnitName]) -> Vec<&str> {
    list.iter().map(UnitName::as_str).collect()
}

fn primary(unit: &LoadedUnit) -> (String, String) {
    match &unit.found {
        Found::Fragment { primary, file, .. } => {
            (primary.as_str().to_owned(), String::from_utf8_lossy(&file.bytes).into_owned())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_directory_wins_and_changes_are_seen() {
    let mut tree = Tree::new("first");
    tree.file("usr/a.service", "usr");
    assert_eq!(primary(&tree.load("a.service")).1, "usr");
    tree.file("etc/a.service", "etc");
    assert_eq!(primary(&tree.load("a.service")).1, "etc");
    assert!(matches!(tree.load("b.service").found, Found::NotFound));
    tree.file("run/systemd/transient/t.service", "x");
    assert!(matches!(tree.load("t.service").found, Found::Fragment { transient: true, .. }));
}

#[test]
fn directories_are_looked_at_once_for_all_that_happens_at_a_time() {
    let mut tree = Tree::new("once");
    let again = |tree: &mut Tree, text: &str| tree.loader.load(&[name(text)]).remove(0);
    assert!(matches!(tree.load("a.service").found, Found::NotFound));
    tree.file("usr/a.service", "usr");
    assert!(matches!(again(&mut tree, "a.service").found, Found::NotFound));
    tree.loader.look_again();
    assert_eq!(primary(&again(&mut tree, "a.service")).1, "usr");
}

#[test]
fn a_file_that_hides_a_link_takes_its_alias_away() {
    let mut tree = Tree::new("hides");
    tree.file("usr/real.service", "real");
    tree.link("usr/alias.service", "real.service");
    assert_eq!(names(&tree.load("real.service").aliases), ["real.service", "alias.service"]);
    tree.file("etc/alias.service", "own");
    tree.file("etc/other.service", "own");
    assert_eq!(names(&tree.load("real.service").aliases), ["real.service"]);
    fs::remove_file(tree.scratch.0.join("etc/alias.service")).expect("remove");
    assert_eq!(names(&tree.load("real.service").aliases), ["real.service", "alias.service"]);
}

#[test]
fn aliases_templates_and_masks() {
    let mut tree = Tree::new("aliases");
    tree.file("usr/real.service", "real");
    tree.link("etc/alias.service", "../usr/real.service");
    tree.link("etc/second.service", "alias.service");
    let unit = tree.load("second.service");
    assert_eq!(primary(&unit), ("real.service".to_owned(), "real".to_owned()));
    assert_eq!(names(&unit.aliases), ["real.service", "alias.service", "second.service"]);
    assert_eq!(
        names(&tree.load("real.service").aliases),
        ["real.service", "alias.service", "second.service"]
    );

    tree.file("usr/getty@.service", "template");
    tree.link("usr/autovt@.service", "getty@.service");
    let unit = tree.load("autovt@tty1.service");
    assert_eq!(primary(&unit).0, "getty@tty1.service");
    assert_eq!(names(&unit.aliases), ["getty@tty1.service", "autovt@tty1.service"]);
    tree.link("etc/getty@tty2.service", "../usr/getty@.service");
    assert_eq!(primary(&tree.load("getty@tty2.service")).0, "getty@tty2.service");

    tree.link("etc/masked.service", "/dev/null");
    tree.file("usr/masked.service", "x");
    tree.file("usr/empty.service", "");
    assert!(matches!(tree.load("masked.service").found, Found::Masked(_)));
    assert!(matches!(tree.load("empty.service").found, Found::Masked(_)));
    tree.link("etc/loop1.service", "loop2.service");
    tree.link("etc/loop2.service", "loop1.service");
    assert!(matches!(tree.load("loop1.service").found, Found::Error(why) if why.contains("(os error 40)")));
}

#[test]
fn links_out_of_the_search_path_keep_their_name() {
    let mut tree = Tree::new("linked");
    tree.file("opt/vendor.service", "vendor");
    tree.link("etc/mine.service", &tree.scratch.join("opt/vendor.service"));
    tree.link("etc/gone.service", &tree.scratch.join("opt/gone.service"));
    assert_eq!(primary(&tree.load("mine.service")), ("mine.service".to_owned(), "vendor".to_owned()));
    assert!(matches!(tree.load("gone.service").found, Found::NotFound));
}

#[test]
fn dropins_apply_in_order_of_their_names() {
    let mut tree = Tree::new("dropins");
    tree.file("usr/a-b@.service", "x");
    tree.file("usr/a-b@.service.d/20-x.conf", "template");
    tree.file("etc/a-b@i.service.d/20-x.conf", "instance");
    tree.file("usr/a-@.service.d/30-p.conf", "prefix");
    tree.file("usr/service.d/10-t.conf", "type");
    tree.file("usr/service.d/40-t.conf", "type");
    tree.link("etc/service.d/40-t.conf", "/dev/null");
    tree.file("usr/service.d/readme", "not one");
    let unit = tree.load("a-b@i.service");
    let texts: Vec<_> =
        unit.dropins.iter().map(|file| String::from_utf8_lossy(&file.bytes).into_owned()).collect();
    assert_eq!(texts, ["type", "instance", "prefix"]);
    let paths: Vec<(&str, u64)> = unit.dropins.iter().map(|file| (&*file.path, file.mtime)).collect();
    assert!(!tree.loader.is_outdated(&unit.aliases, None, &paths));
    tree.file("etc/a-b@i.service.d/50-new.conf", "new");
    tree.loader.look_again();
    assert!(tree.loader.is_outdated(&unit.aliases, None, &paths));
}

#[test]
fn wants_come_from_directories() {
    let mut tree = Tree::new("wants");
    tree.link("etc/multi-user.target.wants/b.service", "/usr/lib/systemd/system/b.service");
    tree.link("usr/multi-user.target.wants/a.service", "../a.service");
    tree.link("usr/multi-user.target.wants/c.service", "/usr/c.service");
    tree.link("etc/multi-user.target.wants/c.service", "/dev/null");
    tree.link("etc/x@.service.requires/y@.service", "../y@.service");
    let unit = tree.load("multi-user.target");
    assert_eq!(names(&unit.wants), ["a.service", "b.service"]);
    assert_eq!(names(&tree.load("x@1.service").requires), ["y@1.service"]);
    assert!(tree.load("x@1.service").upholds.is_empty());
}

#[test]
fn many_units_cost_their_files_only() {
    let mut tree = Tree::new("many");
    for number in 0..4000 {
        fs::write(tree.scratch.join(&format!("usr/u{number}.service")), "[Service]\nExecStart=/bin/true\n")
            .expect("write");
    }
    let all: Vec<UnitName> = (0..4000).map(|number| name(&format!("u{number}.service"))).collect();
    tree.loader.refresh();
    let before = std::time::Instant::now();
    let loaded = tree.loader.load(&all);
    println!("4,000 units in {:?}", before.elapsed());
    assert!(loaded.iter().all(|unit| matches!(unit.found, Found::Fragment { .. })));
}
