//! Generated cases: a tree, lines of tmpfiles.d(5) about it, whole and broken ones, and a command line.

use crate::dice::Dice;
use crate::tree::{self, Kind, NAMES, Node};

/// Where the tree is.
pub const TOP: &str = "/case";
/// Where it is when that is another root.
pub const OTHER_ROOT: &str = "/case/root";

/// One case.
#[derive(Debug)]
pub struct Case {
    pub nodes: Vec<Node>,
    /// The tree is a root of its own.
    pub other_root: bool,
    /// Configuration: its place below the other root, or nowhere when it is given on standard input or as an argument.
    pub files: Vec<(String, Vec<u8>)>,
    pub input: Input,
    /// Command line; the configuration's own path, if it is given so, follows.
    pub words: Vec<String>,
    pub user: u32,
}

/// How the program gets its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// On standard input.
    Standard,
    /// As the last argument.
    Argument,
    /// In the directories of the other root.
    Directories,
}

const DIRECTORIES: [&str; 4] = ["etc", "run", "usr/local/lib", "usr/lib"];
const TYPES: [&str; 33] = [
    "f", "f", "F", "w", "w", "d", "d", "d", "D", "e", "e", "v", "q", "Q", "p", "L", "c", "b", "C", "x", "X",
    "r", "R", "z", "Z", "t", "T", "a", "A", "h", "H", "m", "y",
];
const MODES: [&str; 22] = [
    "0755", "0700", "755", "0644", "1777", "~0755", "~2775", ":0711", ":~0700", "~:0700", "7777", "0",
    "0000", "4755", "0888", "abc", "10000", "u=rwx", "::0755", "~", "-0755", "0o755",
];
const USERS: [&str; 17] = [
    "root",
    "daemon",
    "nobody",
    "0",
    "1",
    "65534",
    "1000",
    ":daemon",
    ":1",
    "nosuchuser",
    "4294967295",
    "-1",
    "007",
    "1x",
    ":",
    "::1",
    "~1",
];
const AGES: [&str; 35] = [
    "0",
    "0",
    "0",
    "1h",
    "1h",
    "10m",
    "10m",
    "1d",
    "1d",
    "2w",
    "~1h",
    "~0",
    "m:1h",
    "a:1h",
    "am:10m",
    "AM:10m",
    "mM:1d",
    "aAmM:1h",
    "aAmMbBcC:0",
    "~m:1h",
    "m:~1h",
    "c:1h",
    "b:1h",
    "x:1h",
    ":1h",
    "m:",
    "abc",
    "1.5h",
    "-1h",
    "1h30m",
    "\"1h 30m\"",
    "1us",
    "infinity",
    "\" a m : 1h\"",
    "aa:1h",
];
// Of each list of fields the first half is right.
const TEXTS: [&str; 24] = [
    "text",
    "two words",
    "  spaces around  ",
    "\\x41\\102\\tC\\n",
    "%%",
    "%b%m%H",
    "%v %a",
    "%o%w%B%W%M%A",
    "%u %U %g %G",
    "%h",
    "%t %S %C %L %T %V",
    "%q",
    "%",
    "%z",
    "\\q",
    "\\",
    "\"quoted\"",
    "dGV4dA==",
    "dGV4",
    "!!!",
    "token",
    "-",
    "",
    "a\\x00b",
];
const LISTS: [&str; 18] = [
    "u:daemon:rwx",
    "user:1:r--,group:daemon:r-x",
    "d:u:daemon:rwX",
    "default:group::rx",
    "m::rx",
    "u::rwX",
    "g:1:rw,m::r",
    "u:nosuchuser:rw",
    "u:1",
    "rwx",
    "o::r",
    "d:u:1:rwx,d:m::r,u:1:X",
    "u:1:rwx u:2:r",
    "default:u::rwx,d:g::-,d:o::-",
    "u:daemon:rwX,g:daemon:rX",
    "",
    "-",
    "u:1:rwz",
];
const ATTRIBUTES: [&str; 13] = [
    "user.new=text",
    "user.new=\"two words\" user.other=1",
    "trusted.new=%b",
    "user.old=replaced",
    "user.new",
    "=x",
    "broken",
    "nospace.new=x",
    "user.a=1 broken",
    "security.SMACK64=x",
    "user.x=a\\x20b",
    "",
    "'user.q=1 2'",
];
const FLAGS: [&str; 14] = ["+i", "+a", "+d", "-i", "-ia", "=", "=d", "d", "i", "+q", "", "+", "-", "+A"];
/// Block devices without a driver: nodes of others reach the machine below, which makes loop devices when asked.
const DEVICES: [&str; 10] = ["1:3", "240:1", "240:200", "1", "bad", "1:", ":3", "999999:3", "0:0", "1:3x"];

impl Case {
    /// What this seed says.
    pub fn generate(seed: u64) -> Case {
        let dice = &mut Dice::new(seed);
        let nodes = tree::generate(dice);
        let other_root = dice.one_in(5);
        let input = match dice.below(6) {
            0 => Input::Argument,
            1 | 2 if other_root => Input::Directories,
            _ => Input::Standard,
        };
        let user = if dice.one_in(10) { 1000 } else { 0 };
        let words = words(dice, other_root, &nodes);
        let mut files = Vec::new();
        let count = if input == Input::Directories { 1 + dice.below(4) } else { 1 };
        for _ in 0..count {
            let name = *dice.pick(&["a.conf", "b.conf", "c.conf", "ignored.txt"]);
            let place = format!("{}/tmpfiles.d/{name}", dice.pick(&DIRECTORIES));
            files.push((place, Writer { dice, nodes: &nodes, other_root }.configuration()));
        }
        Case { nodes, other_root, files, input, words, user }
    }

    /// One line less, in one of the files.
    pub fn altered(&self, seed: u64) -> Case {
        let dice = &mut Dice::new(!seed);
        let mut files = self.files.clone();
        let at = dice.below(files.len());
        let text = &files[at].1;
        let mut lines: Vec<&[u8]> =
            text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        if !lines.is_empty() {
            lines.remove(dice.below(lines.len()));
        }
        files[at].1 = lines.join(&b'\n');
        let (nodes, words) = (self.nodes.clone(), self.words.clone());
        Case { nodes, files, words, other_root: self.other_root, input: self.input, user: self.user }
    }
}

fn words(dice: &mut Dice, other_root: bool, nodes: &[Node]) -> Vec<String> {
    let actions: &[&str] = match dice.below(24) {
        0..=7 => &["--create"],
        8..=11 => &["--clean"],
        12..=14 => &["--remove"],
        15 | 16 => &["--purge"],
        17 => &["--create", "--remove"],
        18 => &["--create", "--clean"],
        19 => &["--create", "--remove", "--clean"],
        20 => &["--remove", "--clean"],
        21 => &["--create", "--purge"],
        22 => &["--create", "--remove", "--purge", "--clean"],
        _ => &[],
    };
    let mut words: Vec<String> = actions.iter().map(|word| (*word).to_owned()).collect();
    for (option, times) in
        [("--boot", 3), ("--dry-run", 8), ("--graceful", 12), ("-E", 12), ("--no-such-option", 200)]
    {
        if dice.one_in(times) {
            words.push(option.to_owned());
        }
    }
    let top = if other_root { "" } else { TOP };
    for (option, times) in [("--prefix=", 8), ("--exclude-prefix=", 8)] {
        if dice.one_in(times) {
            let name = nodes.first().map_or("a", |node| node.path.as_str());
            let name = if dice.one_in(2) { name } else { *dice.pick(&NAMES) };
            words.push(format!("{option}{top}/{name}"));
        }
    }
    if other_root {
        words.push(format!("--root={OTHER_ROOT}"));
    }
    words
}

/// Writes lines about a tree.
struct Writer<'a> {
    dice: &'a mut Dice,
    nodes: &'a [Node],
    other_root: bool,
}

impl Writer<'_> {
    fn configuration(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..1 + self.dice.below(6) {
            text.extend(self.line());
            text.push(b'\n');
        }
        if self.dice.one_in(20) {
            text.pop();
        }
        text
    }

    fn line(&mut self) -> Vec<u8> {
        match self.dice.below(60) {
            0 => return b"# a comment".to_vec(),
            1 => return b"   ".to_vec(),
            2 => return self.broken(),
            _ => {}
        }
        let kind = *self.dice.pick(&TYPES);
        let mut modifiers = self.modifiers(kind);
        let path = self.path(kind);
        if path.contains("/../") {
            // The reference removes what is of another type before it refuses such a path (COMPAT.md).
            modifiers = modifiers.replace('=', "");
        }
        let place = path.replace("//", "/").replace("/./", "/");
        let mut fields = vec![format!("{kind}{modifiers}"), self.quoted(path)];
        for column in 0..4 {
            let field = self.column(kind, column);
            fields.push(field);
        }
        let argument = self.argument(kind);
        // The reference copies a directory into itself until a path is too long (COMPAT.md).
        let into_itself = kind == "C" && format!("{place}/").starts_with(&format!("{argument}/"));
        fields.push(if into_itself { "-".to_owned() } else { argument });
        // Most lines that exist end where nothing follows.
        let needs = matches!(kind, "w" | "t" | "T" | "a" | "A" | "h" | "H" | "c" | "b" | "m");
        if self.dice.one_in(if needs { 20 } else { 3 }) {
            fields.truncate(1 + self.dice.below(6));
        }
        let separator = *self.dice.pick(&[" ", " ", " ", "\t", "   "]);
        fields.join(separator).into_bytes()
    }

    fn broken(&mut self) -> Vec<u8> {
        let top = self.top();
        let lines: [Vec<u8>; 8] = [
            b"d".to_vec(),
            b"d \"/case/unfinished".to_vec(),
            format!("d {top}/a\\").into_bytes(),
            format!("dd {top}/a 0755").into_bytes(),
            format!("d \"{top}/a\"x 0755").into_bytes(),
            b"d relative/path 0755".to_vec(),
            format!("d {top}/{}", "n".repeat(300)).into_bytes(),
            [b"f ", top.as_bytes(), b"/nul - - - - a\0b"].concat(),
        ];
        self.dice.pick(&lines).clone()
    }

    fn modifiers(&mut self, kind: &str) -> String {
        let mut text = String::new();
        let takes_plus = matches!(kind, "f" | "w" | "p" | "L" | "c" | "b" | "C" | "a" | "A");
        if self.dice.one_in(if takes_plus { 3 } else { 40 }) {
            text.push('+');
        }
        for (sign, times) in
            [('!', 8), ('-', 10), ('=', 8), ('~', 30), ('^', 40), ('$', 6), ('?', 150), (':', 150), ('!', 80)]
        {
            let times = match (kind, sign) {
                ("f" | "w", '~' | '^') => 8,
                ("L", '?') => 4,
                (_, '~' | '^') => 80,
                ("f" | "F" | "d" | "D" | "v" | "q" | "Q" | "p" | "L" | "c" | "b" | "C", '$') => 4,
                (_, '$') => 60,
                _ => times,
            };
            if self.dice.one_in(times) {
                text.push(sign);
            }
        }
        text
    }

    fn top(&self) -> &'static str {
        if self.other_root { "" } else { TOP }
    }

    /// A path of the tree, of the kind that the type is about where there is one.
    fn known(&mut self, kind: &str) -> Option<String> {
        let directories =
            matches!(kind, "d" | "D" | "e" | "v" | "q" | "Q" | "x" | "X" | "R" | "Z" | "T" | "A" | "H");
        for _ in 0..4 {
            let node = self.nodes.get(self.dice.below(self.nodes.len()))?;
            if !directories || matches!(node.kind, Kind::Directory | Kind::Mount) || self.dice.one_in(4) {
                return Some(node.path.clone());
            }
        }
        self.nodes.first().map(|node| node.path.clone())
    }

    fn path(&mut self, kind: &str) -> String {
        let top = self.top();
        let known = self.known(kind).unwrap_or_else(|| "a".to_owned());
        let name = *self.dice.pick(&NAMES);
        // Those that clean get the whole tree now and then.
        if self.dice.one_in(12) && !self.other_root {
            return top.to_owned();
        }
        match self.dice.below(40) {
            0..=19 => format!("{top}/{known}"),
            20..=25 => format!("{top}/{known}/{name}"),
            26 | 27 => format!("{top}/new/{name}/x"),
            28 | 29 => format!("{top}/*"),
            30 => format!("{top}/{known}/*"),
            31 => format!("{top}/*/{name}"),
            32 => format!("{top}/[a-c]*"),
            33 => format!("{top}/?"),
            34 => format!("{top}/{{a,b,sub}}/*"),
            35 => format!("{top}/{known}/"),
            36 => format!("{top}//{known}/./{name}"),
            37 => format!("{top}/{known}/../{name}"),
            38 => format!("{top}/%v-%H-%%"),
            _ => {
                (*self.dice.pick(&[&format!("{top}/%q")[..], "relative", "-", &format!("{top}/%"), "/"][..4]))
                    .to_owned()
            }
        }
    }

    /// With quotes or escapes where a space asks for them, and sometimes without.
    fn quoted(&mut self, path: String) -> String {
        match (self.dice.below(12), path.contains(' ')) {
            (0, _) => format!("\"{path}\""),
            (1, _) => format!("'{path}'"),
            (2, _) => path.replace('a', "\\x61"),
            (3..=7, true) => format!("\"{path}\""),
            (8..=10, true) => path.replace(' ', "\\x20"),
            _ => path,
        }
    }

    /// Mode, user, group and age, in this order.
    fn column(&mut self, kind: &str, column: usize) -> String {
        let ages = matches!(kind, "d" | "D" | "e" | "v" | "q" | "Q" | "C" | "x" | "X");
        let (given, values): (usize, &[&str]) = match column {
            0 => (2, &MODES),
            1 | 2 => (3, &USERS),
            _ => (if ages { 1 } else { 12 }, &AGES),
        };
        if !self.dice.one_in(given) || self.dice.one_in(5) {
            return "-".to_owned();
        }
        // The front of each list holds what is right.
        let right = values.len() / 2;
        let values = if self.dice.one_in(10) { values } else { &values[..right] };
        (*self.dice.pick(values)).to_owned()
    }

    fn argument(&mut self, kind: &str) -> String {
        let top = self.top();
        let known = self.known(kind).unwrap_or_default();
        let target = match self.dice.below(6) {
            0 => "nowhere".to_owned(),
            1 => "-".to_owned(),
            2 => format!("../{known}"),
            3 => "%h/%%".to_owned(),
            _ => format!("{top}/{known}"),
        };
        let values: &[&str] = match kind {
            "L" | "C" => return target,
            "c" | "b" => &DEVICES,
            "t" | "T" => &ATTRIBUTES,
            // The reference looks names of lists up outside the root (COMPAT.md).
            "a" | "A" if self.other_root => return self.dice.pick(&LISTS).replace("daemon", "1"),
            "a" | "A" => &LISTS,
            "h" | "H" => &FLAGS,
            // The reference puts the root before these directories (COMPAT.md).
            "f" | "F" | "w" if self.other_root => return self.dice.pick(&TEXTS).replace("%t %S %C %L ", ""),
            "f" | "F" | "w" => &TEXTS,
            _ => &["-", "-", "", "ignored"],
        };
        (*self.dice.pick(values)).to_owned()
    }
}
