//! What is done to a unit file: damage to bytes, to lines, and values that each kind of setting must refuse or bear.

use crate::random::Random;
use runstead_core::directives::{ROWS, Sections, section};
use runstead_core::names::UnitName;

/// Texts that some reader of values may stumble over.
const VALUES: &[&str] = &[
    "",
    " ",
    "-1",
    "0",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999",
    "-9223372036854775809",
    "1e999",
    "NaN",
    "0x",
    "08",
    "7777777777777",
    "maybe",
    "true false",
    "infinity",
    "100%",
    "101%",
    "100.00001%",
    "-0.5%",
    "1Y 1Y 1Y 99999999999999y",
    "584542y 999999999999999w",
    "5 parsecs",
    "8E 8E",
    "16E",
    "1.9999999999999999999999999999T",
    "*-*-* 25:61:61",
    "*-02-31",
    "*:0/0",
    "2100..1970-*-*",
    "Mon..Sun..Mon *-*-* *:*:*/0.000000001",
    "*~31..1/1000000000",
    "daily UTC UTC",
    "/",
    "//",
    "/../../..",
    "relative/path",
    "/a/../b",
    "-",
    "-/",
    "+-+-/x",
    "@",
    "!!",
    "@/bin/true",
    ":@-+!!/bin/true",
    "|",
    "/bin/true ;",
    "/bin/true ; ; ; ;",
    "; /bin/true",
    "/bin/sh -c \"unterminated",
    "'",
    "\"\\",
    "\\x",
    "\\xfg \\400 \\u12 \\U0011ffff",
    "\\x00",
    "${",
    "$$$${A}${",
    "%",
    "%%%%%",
    "%Z",
    "%i%I%j%J%n%N%p%P%f%F",
    "%t%S%C%L%E%d%D%y%Y%h%u%U%g%G%m%b%H%l%q%v%o%a%A%w%W%B%M%T%V%s",
    "A=1 =2 3 \"B=",
    "a b c a b c",
    "~",
    "~~",
    "~CAP_NOTHING CAP_ALL",
    "@no-such-group ~@system-service read:NOTERRNO",
    "@system-service:99999 read:kill:log",
    "SIGNOTHING",
    "SIGRTMIN+99 SIGRTMAX-99",
    "-HUP",
    "no-suffix",
    "a@.service",
    "@.service",
    "a@b@c.service",
    ".service",
    "x.nothing a/b.service",
    "[::1]:99999",
    "[::1",
    "300.300.300.300:80",
    "0.0.0.0/33 ::/129",
    "vsock::",
    "vsock:4294967296:x",
    "@abstract%n",
    "netlink kobject-uevent 1",
    "kobject-uevent 99999999999",
    "0-4095,5000-1,7-",
    "0,1,2,3,4-8192",
    "1:2:3:4:5:6",
    "::::",
    ":",
    ",,,",
    "name:",
    ":/path",
    "a:/b:c:d",
    "/dev/null rwmx",
    "/dev/../etc 5",
    "block-* -1",
    "254 255 256 NOSUCH SUCCESS",
    "0777777",
    "09",
    "uid=1 gid",
    "root:root:root",
    "0:4294967295:99999999999",
    "\u{feff}yes",
    "ｙｅｓ",
    "é\u{301}\u{202e}",
    "\u{7f}\u{1b}[2J",
    "soft:hard",
    "5:4",
    "infinity:1",
    "file:",
    "append:relative",
    "fd:",
    "socket socket",
    "AAAA====",
    "!!!!notbase64",
    "dGVzdA",
    "tcp:99999-1",
    "ipv4:udp:0",
    "unix:path",
    "path:/a\\:b:c:ro",
    "/a:/b:/c:/d:norbind,xyz",
];

/// Words that make long and deep values.
const DEEP: &[&str] =
    &["%n", "%%", "%i", "\\\\", "\\x41", "$A", "${A}", "\"", "'", "; ", "/..", "~", "@", "a ", "=", ","];

/// A unit file to start from.
pub struct Seed {
    pub name: UnitName,
    pub bytes: Vec<u8>,
}

/// A mutated file, and the line that was appended as the last one, if that was the mutation.
pub struct Mutated {
    pub bytes: Vec<u8>,
    pub appended: bool,
}

/// One to four mutations of one seed.
pub fn mutate(random: &mut Random, seeds: &[Seed], seed: &Seed) -> Mutated {
    let mut bytes = seed.bytes.clone();
    for _ in 0..=random.below(4) {
        match random.below(16) {
            0..=2 => damage(random, &mut bytes),
            3 => bytes.truncate(random.below(bytes.len() + 1)),
            4 => shuffle(random, &mut bytes),
            5 => long_line(random, &mut bytes),
            6 => splice(random, &mut bytes, &random_pick_bytes(seeds)),
            7 => duplicate_section(random, &mut bytes),
            8..=9 => change_value(random, &mut bytes),
            10 => odd_line(random, &mut bytes),
            11 => change_key(random, &mut bytes),
            _ => insert_setting(random, &mut bytes, &seed.name),
        }
    }
    // Most appended lines go onto an undamaged file: what becomes of the line is then certain.
    if random.below(3) == 0 {
        let mut bytes = seed.bytes.clone();
        if !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(setting(random, &seed.name, true).as_bytes());
        return Mutated { bytes, appended: true };
    }
    Mutated { bytes, appended: false }
}

fn random_pick_bytes(seeds: &[Seed]) -> impl Fn(&mut Random) -> Vec<u8> + '_ {
    |random| random.pick(seeds).bytes.clone()
}

/// Flips, bytes put in, taken out, doubled; NULs, carriage returns, what is not UTF-8.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len() + 1);
        let end = at + random.below((bytes.len() - at).min(32) + 1);
        match random.below(6) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            4 => bytes.insert(at, *random.pick(b"\0\0\n\r\\[]=#;%\"' \t~:,\xff\xc3\xf0")),
            _ => bytes.insert(at, random.next() as u8),
        }
    }
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

fn shuffle(random: &mut Random, bytes: &mut Vec<u8>) {
    let mut all = lines(bytes);
    for at in (1..all.len()).rev() {
        let other = random.below(at + 1);
        all.swap(at, other);
    }
    *bytes = all.concat();
}

/// A line of up to 1.1 MiB (rarely), deep in something.
fn long_line(random: &mut Random, bytes: &mut Vec<u8>) {
    let most = if random.below(40) == 0 { 1_150_000 } else { 3000 };
    let word = random.pick(DEEP);
    let text = word.repeat(random.below(most) / word.len() + 1);
    let key = ROWS[random.below(ROWS.len())].name;
    let line = if random.below(2) == 0 { format!("{key}={text}\n") } else { format!("{key}=/{text}\\\n") };
    insert_line(random, bytes, line.as_bytes());
}

fn insert_line(random: &mut Random, bytes: &mut Vec<u8>, line: &[u8]) {
    let mut all = lines(bytes);
    let at = random.below(all.len() + 1);
    all.insert(at, line.to_vec());
    *bytes = all.concat();
}

fn splice(random: &mut Random, bytes: &mut Vec<u8>, other: &impl Fn(&mut Random) -> Vec<u8>) {
    let other = other(random);
    let from = random.below(other.len() + 1);
    bytes.truncate(random.below(bytes.len() + 1));
    bytes.extend_from_slice(&other[from..]);
}

fn duplicate_section(random: &mut Random, bytes: &mut Vec<u8>) {
    let header = *random.pick(&[
        "[Unit]",
        "[Service]",
        "[Install]",
        "[Socket]",
        "[Mount]",
        "[Timer]",
        "[Path]",
        "[Slice]",
        "[Scope]",
        "[Swap]",
        "[Automount]",
        "[Target]",
        "[Nonsense]",
        "[X-Mine]",
        "[]",
        "[[Unit]]",
        "[Unit",
        "Unit]",
        "[Un\"it]",
    ]);
    insert_line(random, bytes, format!("{header}\n").as_bytes());
    if random.below(2) == 0 {
        let copy = bytes.clone();
        bytes.extend_from_slice(&copy);
    }
}

/// Replaces what stands behind `=` in some line.
fn change_value(random: &mut Random, bytes: &mut Vec<u8>) {
    edit_assignment(random, bytes, |random, key, value| {
        let new = match random.below(3) {
            0 => format!("{} {}", String::from_utf8_lossy(value), random.pick(VALUES)),
            1 => random.pick(DEEP).repeat(random.below(40)),
            _ => (*random.pick(VALUES)).to_owned(),
        };
        [key, b"=", new.as_bytes(), b"\n"].concat()
    });
}

/// Replaces what stands before `=` in some line.
fn change_key(random: &mut Random, bytes: &mut Vec<u8>) {
    edit_assignment(random, bytes, |random, key, value| {
        let new = match random.below(3) {
            0 => key.to_ascii_lowercase(),
            1 => [key, b"x"].concat(),
            _ => ROWS[random.below(ROWS.len())].name.as_bytes().to_vec(),
        };
        [&new, b"=".as_slice(), value, b"\n"].concat()
    });
}

fn edit_assignment(
    random: &mut Random,
    bytes: &mut Vec<u8>,
    edit: impl FnOnce(&mut Random, &[u8], &[u8]) -> Vec<u8>,
) {
    let mut all = lines(bytes);
    let with_value: Vec<usize> = (0..all.len()).filter(|at| all[*at].contains(&b'=')).collect();
    if with_value.is_empty() {
        return;
    }
    let at = *random.pick(&with_value);
    let line = all[at].clone();
    let equals = line.iter().position(|b| *b == b'=').unwrap_or(0);
    let value = line[equals + 1..].strip_suffix(b"\n").unwrap_or(&line[equals + 1..]);
    all[at] = edit(random, &line[..equals], value);
    *bytes = all.concat();
}

fn odd_line(random: &mut Random, bytes: &mut Vec<u8>) {
    let line = *random.pick(&[
        "no equals sign\n",
        "=no key\n",
        "\\\n",
        "\\\\\n",
        "a\\\n#b\\\n;c\\\n",
        "\0\0\0\n",
        "\u{feff}[Unit]\n",
        "\r\r\r",
        "Key\u{0}=value\n",
        " [Unit] \n",
        "=\n",
        "==\n",
        "X-Mine=1\n",
        ".include /etc/passwd\n",
    ]);
    insert_line(random, bytes, line.as_bytes());
}

fn insert_setting(random: &mut Random, bytes: &mut Vec<u8>, name: &UnitName) {
    let line = setting(random, name, false);
    insert_line(random, bytes, line.as_bytes());
}

/// A line for any directive; with its section when `own`, one that units of this type have.
fn setting(random: &mut Random, name: &UnitName, own: bool) -> String {
    let section = Sections::of(name.kind());
    loop {
        let row = &ROWS[random.below(ROWS.len())];
        let value = random.pick(VALUES);
        if !own {
            return format!("{}={value}\n", row.name);
        }
        let of_type = section.0 != 0 && row.sections.contains(section);
        let header = if row.sections.contains(section::UNIT) {
            "Unit"
        } else if of_type {
            name.kind().section()
        } else {
            continue;
        };
        return format!("[{header}]\n{}={value}\n", row.name);
    }
}
