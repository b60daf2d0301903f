use super::*;
use std::io::Write;

/// A small generator of numbers, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

type Model = BTreeMap<String, Vec<u8>>;

fn contents(log: &StateLog) -> Model {
    log.iter().map(|(key, value)| (key.to_owned(), value.to_vec())).collect()
}

fn open_image(bytes: &[u8]) -> Result<StateLog, OsError> {
    let fd = rustix::fs::memfd_create("image", MemfdFlags::CLOEXEC).expect("memfd");
    std::fs::File::from(fd.try_clone().expect("dup")).write_all(bytes).expect("write");
    StateLog::open(fd)
}

#[test]
fn the_newest_value_of_each_key_is_found_again() {
    let mut log = StateLog::create().expect("log");
    log.put("unit/a.service", b"one");
    log.put("unit/b.service", b"");
    log.put("unit/a.service", b"two");
    log.put("gone", b"x");
    log.remove("gone");
    log.remove("never there");
    log.in_flight(Some("ProcessExited"));
    let again = StateLog::open(log.fd().try_clone_to_owned().expect("dup")).expect("open");
    let wanted: Model = [("unit/a.service", &b"two"[..]), ("unit/b.service", b"")]
        .map(|(key, value)| (key.to_owned(), value.to_vec()))
        .into();
    assert_eq!(contents(&again), wanted);
    assert_eq!(again.get("unit/a.service"), Some(&b"two"[..]));
    assert_eq!(again.in_flight_marker(), Some("ProcessExited"));
    log.in_flight(None);
    let again = StateLog::open(log.fd().try_clone_to_owned().expect("dup")).expect("open");
    assert_eq!((again.in_flight_marker(), again.lost()), (None, 0));
}

#[test]
fn it_compacts_grows_and_goes_on_after_opening() {
    let mut random = Random(1);
    let mut log = StateLog::create().expect("log");
    let mut model = Model::new();
    for round in 0..20_000 {
        let key = format!("unit/{}", random.below(500));
        if random.below(10) == 0 {
            log.remove(&key);
            model.remove(&key);
        } else {
            let value = vec![(round % 251) as u8; random.below(2000)];
            log.put(&key, &value);
            model.insert(key, value);
        }
        if round % 5000 == 4999 {
            log = StateLog::open(log.fd().try_clone_to_owned().expect("dup")).expect("open");
            assert_eq!(contents(&log), model);
        }
    }
    assert_eq!(
        log.live,
        model.iter().map(|(key, value)| format::room(key.len(), value.len())).sum::<usize>()
    );
    assert!(log.map.len() < 8 << 20, "{} bytes", log.map.len());
    assert_eq!(log.lost(), 0);
}

/// Cut the order of writes anywhere, in the middle of one, too: what is read is the state before the call or after it.
#[test]
fn ten_thousand_kill_points() {
    let mut random = Random(7);
    let mut kills = 0;
    let mut log = StateLog::create().expect("log");
    let mut model = Model::new();
    let mut last = 0;
    while kills < 10_000 {
        let image = log.map.bytes().to_vec();
        log.map.trace = Some(Vec::new());
        let key = format!("k{}", random.below(40));
        let before = model.clone();
        if random.below(8) == 0 {
            log.remove(&key);
            model.remove(&key);
        } else {
            // Now and then so much that it must be compacted or grown.
            let size = if random.below(30) == 0 { random.below(20_000) } else { random.below(300) };
            let value: Vec<u8> = (0..size).map(|_| random.below(256) as u8).collect();
            log.put(&key, &value);
            model.insert(key, value);
        }
        let trace = log.map.trace.take().unwrap_or_default();
        let cuts = if trace.len() > 8 { 40 } else { 4 };
        for _ in 0..cuts {
            let whole = random.below(trace.len() + 1);
            let mut torn = image.clone();
            torn.resize(log.map.len(), 0);
            for (at, bytes) in &trace[..whole] {
                torn[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            if let Some((at, bytes)) = trace.get(whole) {
                // Words are published whole; other writes may be cut.
                let part = if bytes.len() == 4 { 0 } else { random.below(bytes.len() + 1) };
                torn[*at..at + part].copy_from_slice(&bytes[..part]);
            }
            let found = contents(&open_image(&torn).expect("always readable"));
            assert!(found == before || found == model, "cut after {whole} of {} writes", trace.len());
            kills += 1;
        }
        last = last.max(log.extent.sequence);
    }
    assert!(last > 5, "compaction was among them ({last})");
}

#[test]
fn damage_never_invents_state_and_never_panics() {
    let mut random = Random(3);
    let mut log = StateLog::create().expect("log");
    let mut ever: Vec<(String, Vec<u8>)> = Vec::new();
    for round in 0..300 {
        let (key, value) = (format!("k{}", random.below(50)), format!("value {round}").into_bytes());
        log.put(&key, &value);
        ever.push((key, value));
    }
    let used = log.tail + 64;
    let image = log.map.bytes()[..used + 4096].to_vec();
    for _ in 0..3000 {
        let mut damaged = log.map.bytes().to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(used);
            damaged[at] ^= 1 << random.below(8);
        }
        if let Ok(read) = open_image(&damaged) {
            assert!(read.iter().all(|(key, value)| ever.iter().any(|(k, v)| k == key && v == value)));
        }
        let cut = random.below(image.len());
        if let Ok(read) = open_image(&image[..cut]) {
            assert!(read.iter().all(|(key, value)| ever.iter().any(|(k, v)| k == key && v == value)));
        }
    }
    assert!(open_image(b"").is_err() && open_image(&[0; 8192]).is_err());
}

#[test]
fn a_file_is_private_and_found_again() {
    use std::os::unix::fs::MetadataExt;
    let scratch = crate::rundir::tests::Scratch::new("statelog");
    let path = scratch.join("state");
    let mut log = StateLog::create_file(&path).expect("create");
    log.put("a", b"1");
    drop(log);
    assert_eq!(std::fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
    assert_eq!(StateLog::open_file(&path).expect("open").get("a"), Some(&b"1"[..]));
}

#[test]
fn a_put_costs_little() {
    let mut log = StateLog::create().expect("log");
    let before = std::time::Instant::now();
    for round in 0..100_000u32 {
        log.put(
            ["unit/a.service", "unit/b.service"][round as usize % 2],
            &[round.to_le_bytes(); 50].concat(),
        );
    }
    println!("a put of 200 bytes: {:?}", before.elapsed() / 100_000);
}
