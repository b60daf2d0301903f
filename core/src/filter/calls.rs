//! System calls by name, as sets and as numbers of the machine's ways of calling (syscall(2), "Architecture calling conventions").
use super::numbers::NUMBERS;
use crate::values::{syscall_groups, syscalls};
use std::sync::LazyLock;

/// A way to call this kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abi {
    /// The native one.
    X86_64,
    /// 32 bit, as since the first Linux.
    X86,
    /// 32 bit pointers in 64 bit mode.
    X32,
}

/// All of them.
#[cfg(test)]
pub(super) const ABIS: [Abi; 3] = [Abi::X86_64, Abi::X86, Abi::X32];

/// What x32 adds to its numbers.
pub(super) const X32_BIT: u32 = 0x4000_0000;

struct Call {
    name: &'static str,
    numbers: [Option<u32>; 3],
}

/// Made when the first filter is: sorted by name.
static CALLS: LazyLock<Vec<Call>> =
    LazyLock::new(|| NUMBERS.split_ascii_whitespace().filter_map(parse).collect());

fn parse(entry: &'static str) -> Option<Call> {
    let mut fields = entry.split(':');
    let name = fields.next()?;
    let mut number = || fields.next().map(|field| field.parse::<u32>().ok());
    let (native, x86) = (number()?, number()?);
    let x32 = number().unwrap_or(native).map(|number| number | X32_BIT);
    Some(Call { name, numbers: [native, x86, x32] })
}

/// The groups, opened.
static GROUPS: LazyLock<Vec<(&'static str, Calls)>> = LazyLock::new(|| {
    let groups = syscall_groups::GROUPS.iter().map(|(name, _)| *name);
    groups
        .map(|name| (name, syscalls::resolve(name).into_iter().fold(Calls::default(), Calls::and)))
        .collect()
});

const WORDS: usize = 8;

/// A set of system calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls([u64; WORDS]);

impl Calls {
    /// All that this machine has.
    pub const EVERY: Calls = Calls([u64::MAX; WORDS]);

    /// The call, or all of a group with its `@`; calls that this machine does not have are in no set.
    pub fn named(name: &str) -> Calls {
        match name.starts_with('@') {
            true => {
                GROUPS.iter().find(|(group, _)| *group == name).map(|(_, calls)| *calls).unwrap_or_default()
            }
            false => Calls::default().and(name),
        }
    }

    /// With this call, which is no group.
    pub fn and(mut self, name: &str) -> Calls {
        if let Some(at) = place(name) {
            self.0[at / 64] |= 1 << (at % 64);
        }
        self
    }

    /// All of these names.
    pub fn all(names: &[&str]) -> Calls {
        names.iter().fold(Calls::default(), |all, name| all.with(Calls::named(name)))
    }

    /// Those in either.
    pub fn with(self, other: Calls) -> Calls {
        Calls(std::array::from_fn(|n| self.0[n] | other.0[n]))
    }

    /// Those that are not in the other.
    pub fn without(self, other: Calls) -> Calls {
        Calls(std::array::from_fn(|n| self.0[n] & !other.0[n]))
    }

    /// Whether the call, by its place in the table, is one of them.
    pub(super) fn has(self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }
}

/// Where a call stands in the table.
pub(super) fn place(name: &str) -> Option<usize> {
    CALLS.binary_search_by_key(&name, |call| call.name).ok()
}

/// Whether the native way to call has this one.
pub(super) fn has_native(name: &str) -> bool {
    place(name).is_some_and(|at| CALLS[at].numbers[Abi::X86_64 as usize].is_some())
}

/// Places in the table of the calls that have a number, for each way to call in order of numbers.
static IN_ORDER: LazyLock<[Vec<u16>; 3]> = LazyLock::new(|| {
    [0, 1, 2].map(|abi| {
        let mut places: Vec<u16> = (0..CALLS.len() as u16).collect();
        places.retain(|at| CALLS[usize::from(*at)].numbers[abi].is_some());
        places.sort_unstable_by_key(|at| CALLS[usize::from(*at)].numbers[abi]);
        places
    })
});

/// Every call that has a number there: its place in the table, name and number, in order of numbers.
pub(super) fn of(abi: Abi) -> impl Iterator<Item = (usize, &'static str, u32)> {
    IN_ORDER[abi as usize].iter().filter_map(move |at| {
        let call = &CALLS[usize::from(*at)];
        Some((usize::from(*at), call.name, call.numbers[abi as usize]?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        assert_eq!(CALLS.len(), NUMBERS.split_ascii_whitespace().count());
        assert!(CALLS.is_sorted_by_key(|call| call.name) && CALLS.len() <= 64 * WORDS);
        for abi in ABIS {
            let numbers: Vec<u32> = of(abi).map(|(.., number)| number).collect();
            assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{abi:?} has a number twice");
        }
        for call in CALLS.iter() {
            assert!(syscalls::is_known(call.name), "{}", call.name);
        }
    }

    #[test]
    fn numbers_are_those_of_the_kernel() {
        let numbers = |name| ABIS.map(|abi| of(abi).find(|(_, it, _)| *it == name).map(|(.., n)| n));
        assert_eq!(numbers("read"), [Some(0), Some(3), Some(X32_BIT)]);
        assert_eq!(numbers("execve"), [Some(59), Some(11), Some(X32_BIT | 520)]);
        assert_eq!(numbers("socketcall"), [None, Some(102), None]);
        assert_eq!(numbers("openat2"), [Some(437), Some(437), Some(X32_BIT | 437)]);
    }

    #[test]
    fn sets() {
        let mount = Calls::named("@mount");
        let both = mount.with(Calls::named("read"));
        assert_eq!(both.without(mount), Calls::named("read"));
        assert_eq!(Calls::named("osf_mount"), Calls::default());
        assert_eq!(Calls::all(&["read", "@mount"]), both);
    }
}
