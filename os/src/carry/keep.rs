//! Saving a store and taking it out again.
//!
//! A store counts for one start only, the one after that which saved it: `last` names the start that looked before.
//! Both files are written beside their place, synced, and renamed into it. A store is taken out before its files are put back, so that
//! no crash can bring them twice.
use super::disk::Disk;
use crate::error::OsError;
use runstead_core::carry::Item;
use runstead_core::carry::store::{Damage, Store, decode, encode};

const STORE: &str = "store";
const LAST: &str = "last";

/// Keep these for the start after this one.
pub fn save(disk: &mut impl Disk, start: &str, items: Vec<Item>) -> Result<(), OsError> {
    let store = Store { start: start.to_owned(), items };
    replace(disk, STORE, &encode(&store))
}

/// What the start before this one kept; nobody gets it again. The second value says why there is nothing.
pub fn take(disk: &mut impl Disk, start: &str) -> Result<(Vec<Item>, Option<String>), OsError> {
    let last = disk.read(LAST)?.unwrap_or_default();
    let found = held(disk)?;
    replace(disk, LAST, start.as_bytes())?;
    disk.remove(STORE)?;
    disk.sync_names()?;
    Ok(match found {
        None => (Vec::new(), None),
        Some(Err(damage)) => (Vec::new(), Some(format!("what was kept is not used: {damage}"))),
        Some(Ok(store)) if store.start.as_bytes() != last => {
            (Vec::new(), Some("what was kept is not used: it is older than the last start".to_owned()))
        }
        Some(Ok(store)) => (store.items, None),
    })
}

/// What is kept now.
pub fn held(disk: &mut impl Disk) -> Result<Option<Result<Store, Damage>>, OsError> {
    Ok(disk.read(STORE)?.map(|bytes| decode(&bytes)))
}

fn replace(disk: &mut impl Disk, name: &str, bytes: &[u8]) -> Result<(), OsError> {
    let new = format!("{name}.new");
    disk.write(&new, bytes)?;
    disk.sync(&new)?;
    disk.rename(&new, name)?;
    disk.sync_names()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carry::Folder;
    use crate::rundir::tests::Scratch;
    use std::collections::BTreeMap;

    /// What was asked of a disk.
    #[derive(Debug, Clone)]
    enum Call {
        Write(String, Vec<u8>),
        Sync(String),
        Rename(String, String),
        Remove(String),
        SyncNames,
    }

    /// A folder in memory that notes what is asked of it.
    #[derive(Debug, Clone, Default)]
    struct Recorder {
        files: BTreeMap<String, Vec<u8>>,
        calls: Vec<Call>,
    }

    impl Disk for Recorder {
        fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, OsError> {
            Ok(self.files.get(name).cloned())
        }
        fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), OsError> {
            self.files.insert(name.to_owned(), bytes.to_owned());
            self.calls.push(Call::Write(name.to_owned(), bytes.to_owned()));
            Ok(())
        }
        fn sync(&mut self, name: &str) -> Result<(), OsError> {
            self.calls.push(Call::Sync(name.to_owned()));
            Ok(())
        }
        fn rename(&mut self, from: &str, to: &str) -> Result<(), OsError> {
            let bytes = self.files.remove(from).expect("it is there");
            self.files.insert(to.to_owned(), bytes);
            self.calls.push(Call::Rename(from.to_owned(), to.to_owned()));
            Ok(())
        }
        fn remove(&mut self, name: &str) -> Result<(), OsError> {
            self.files.remove(name);
            self.calls.push(Call::Remove(name.to_owned()));
            Ok(())
        }
        fn sync_names(&mut self) -> Result<(), OsError> {
            self.calls.push(Call::SyncNames);
            Ok(())
        }
    }

    /// A generator of numbers that gives the same ones each time (xorshift64).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % bound as u64).expect("small")
        }
    }

    /// A disk that loses power: contents that were not synced may be there, be cut off, be zeroes, or be missing; names that were
    /// not synced may be old or new, each for itself.
    struct Medium<'a> {
        /// By number of the file: what is in it for good, and what may be.
        contents: Vec<(Vec<u8>, Vec<u8>)>,
        durable: BTreeMap<String, usize>,
        cached: BTreeMap<String, usize>,
        pending: Vec<&'a Call>,
    }

    impl<'a> Medium<'a> {
        fn of(files: &BTreeMap<String, Vec<u8>>) -> Medium<'a> {
            let contents: Vec<_> = files.values().map(|bytes| (bytes.clone(), bytes.clone())).collect();
            let names: BTreeMap<String, usize> = files.keys().cloned().zip(0..).collect();
            Medium { contents, durable: names.clone(), cached: names, pending: Vec::new() }
        }

        fn apply(&mut self, call: &'a Call) {
            match call {
                Call::Sync(name) => {
                    let number = self.cached[name];
                    self.contents[number].0 = self.contents[number].1.clone();
                }
                Call::SyncNames => {
                    self.durable = self.cached.clone();
                    self.pending.clear();
                }
                other => {
                    if let Call::Write(_, bytes) = other {
                        self.contents.push((Vec::new(), bytes.clone()));
                    }
                    let newest = self.contents.len() - 1;
                    Self::rename(&mut self.cached, other, newest);
                    self.pending.push(other);
                }
            }
        }

        fn rename(names: &mut BTreeMap<String, usize>, call: &Call, newest: usize) {
            match call {
                Call::Write(name, _) => drop(names.insert(name.clone(), newest)),
                Call::Remove(name) => drop(names.remove(name)),
                Call::Rename(from, to) => {
                    if let Some(number) = names.remove(from) {
                        names.insert(to.clone(), number);
                    }
                }
                Call::Sync(_) | Call::SyncNames => {}
            }
        }

        /// What is left of it.
        fn lose_power(&self, dice: &mut Dice) -> BTreeMap<String, Vec<u8>> {
            let mut names = self.durable.clone();
            let writes = self.pending.iter().filter(|call| matches!(call, Call::Write(..))).count();
            let mut newest = self.contents.len() - writes;
            for call in &self.pending {
                let number = newest;
                newest += usize::from(matches!(call, Call::Write(..)));
                if dice.below(2) == 0 {
                    Self::rename(&mut names, call, number);
                }
            }
            let mut read = |number: usize| {
                let (safe, cached) = &self.contents[number];
                if safe == cached {
                    return safe.clone();
                }
                let part = dice.below(cached.len() + 1);
                match dice.below(4) {
                    0 => safe.clone(),
                    1 => cached[..part].to_vec(),
                    2 => [&cached[..part], &vec![0; cached.len() - part][..]].concat(),
                    _ => cached.clone(),
                }
            };
            names.into_iter().map(|(name, number)| (name, read(number))).collect()
        }
    }

    fn items(text: &str, count: usize) -> Vec<Item> {
        let item = |number| Item {
            path: format!("app/{number}"),
            mode: 0o600,
            uid: 0,
            gid: 0,
            bytes: Some(format!("{text} {number}").repeat(20).into_bytes()),
        };
        (0..count).map(item).collect()
    }

    #[test]
    fn after_any_of_ten_thousand_crashes_it_is_the_old_the_new_or_nothing() {
        // A start that kept the old ones; the next takes them out and keeps the new.
        let mut disk = Recorder::default();
        take(&mut disk, "one").expect("nothing yet");
        save(&mut disk, "one", items("old", 3)).expect("saved");
        let before = disk.files.clone();
        disk.calls.clear();
        let (taken, why) = take(&mut disk, "two").expect("taken");
        assert_eq!((taken, why), (items("old", 3), None));
        save(&mut disk, "two", items("new", 5)).expect("saved");
        let calls = disk.calls.clone();
        let mut dice = Dice(0x5eed);
        let mut seen = BTreeMap::new();
        for _ in 0..10_000 {
            let mut medium = Medium::of(&before);
            let point = dice.below(calls.len() + 1);
            calls[..point].iter().for_each(|call| medium.apply(call));
            let mut left = Recorder { files: medium.lose_power(&mut dice), calls: Vec::new() };
            let (found, _) = take(&mut left, "three").expect("the disk can be read");
            let what = match found {
                found if found == items("old", 3) => "old",
                found if found == items("new", 5) => "new",
                found if found.is_empty() => "nothing",
                mixture => panic!("after {point} of {} calls: {mixture:?}", calls.len()),
            };
            *seen.entry(what).or_insert(0) += 1;
            // And only once.
            assert_eq!(take(&mut left, "four").expect("read").0, []);
        }
        assert_eq!(seen.keys().copied().collect::<Vec<_>>(), ["new", "nothing", "old"], "{seen:?}");
    }

    #[test]
    fn a_store_that_is_renamed_without_a_sync_is_caught_by_its_checksum() {
        let mut disk = Recorder::default();
        take(&mut disk, "one").expect("nothing yet");
        disk.calls.clear();
        let before = disk.files.clone();
        save(&mut disk, "one", items("new", 5)).expect("saved");
        let careless: Vec<Call> =
            disk.calls.iter().filter(|call| !matches!(call, Call::Sync(_))).cloned().collect();
        let mut dice = Dice(7);
        let mut refused = 0;
        for _ in 0..1000 {
            let mut medium = Medium::of(&before);
            careless.iter().for_each(|call| medium.apply(call));
            let mut left = Recorder { files: medium.lose_power(&mut dice), calls: Vec::new() };
            let (found, why) = take(&mut left, "two").expect("read");
            assert!(found.is_empty() || found == items("new", 5));
            refused += usize::from(why.is_some_and(|why| why.contains("not used")));
        }
        assert!(refused > 100, "{refused}: this disk loses what is not synced");
    }

    #[test]
    fn a_store_is_for_the_next_start_alone() {
        let scratch = Scratch::new("carry");
        let mut disk = Folder::open(&scratch.join("carry")).expect("made");
        assert_eq!(take(&mut disk, "a").expect("first").0, []);
        save(&mut disk, "a", items("x", 2)).expect("saved");
        // The same start again, as when the service is restarted.
        assert!(held(&mut disk).expect("read").is_some_and(|store| store.is_ok()));
        assert_eq!(take(&mut disk, "b").expect("next").0, items("x", 2));
        assert_eq!(take(&mut disk, "c").expect("after it").0, []);
        save(&mut disk, "c", items("x", 2)).expect("saved");
        // A start that did not look comes in between: it leaves no trace, but one that looked does.
        disk.write(LAST, b"d").expect("write");
        let (found, why) = take(&mut disk, "e").expect("read");
        assert!(found.is_empty() && why.is_some_and(|why| why.contains("older")));
    }
}
