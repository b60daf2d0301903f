//! Building blocks of the encoder: instructions, data, registers.
use crate::sys::program::{Instruction, Kind, Policy, REGISTERS};
use runstead_core::plan::{OnError, Reg, Text};
use std::collections::BTreeMap;

/// An argument of an instruction.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arg {
    /// A number.
    N(u64),
    /// An offset into the data.
    D(u64),
    /// A register.
    R(u16),
}

/// A negative number as an argument.
pub(super) fn signed(number: i32) -> Arg {
    Arg::N(i64::from(number) as u64)
}

/// `AT_FDCWD` as an argument.
pub(super) const CWD: Arg = Arg::N(libc::AT_FDCWD as i64 as u64);

/// Registers the encoder keeps for itself; those of the plan follow.
pub(super) const JOIN: u16 = 0;
/// A short-lived descriptor.
pub(super) const TEMP: u16 = 1;
/// A second one.
pub(super) const TEMP2: u16 = 2;
const FIRST_OF_PLAN: u16 = 3;

/// A program under construction.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    pub(super) code: Vec<Instruction>,
    pub(super) data: Vec<u8>,
    strings: BTreeMap<String, u64>,
    step: u16,
    step_start: usize,
    policy: Option<OnError>,
    /// Something does not fit into what a program can hold.
    pub(super) overflow: bool,
}

impl Assembler {
    /// The instructions that follow belong to this step.
    pub(super) fn begin(&mut self, step: u16, on_error: OnError) {
        self.step = step;
        self.step_start = self.code.len();
        self.policy = Some(on_error);
    }

    /// The step is complete.
    pub(super) fn finish(&mut self) {
        let end = self.code.len() as u32;
        for instruction in &mut self.code[self.step_start..] {
            instruction.end = end;
        }
    }

    /// Add an instruction.
    pub(super) fn add(&mut self, op: u32, args: &[Arg]) -> &mut Instruction {
        let mut kinds = 0u16;
        let mut raw = [0u64; 6];
        for (n, (arg, slot)) in args.iter().zip(&mut raw).enumerate() {
            let (kind, value) = match arg {
                Arg::N(value) => (Kind::Number, *value),
                Arg::D(value) => (Kind::Data, *value),
                Arg::R(value) => (Kind::Register, u64::from(*value)),
            };
            kinds |= (kind as u16) << (2 * n);
            *slot = value;
        }
        let (policy, exit) = match self.policy {
            Some(OnError::Fail(status)) => (Policy::Fail, status.code()),
            Some(OnError::Weaken) => (Policy::Weaken, 0),
            Some(OnError::Ignore) | None => (Policy::Ignore, 0),
        };
        self.code.push(Instruction {
            op,
            kinds,
            store: 0,
            policy: policy as u8,
            exit,
            step: self.step,
            end: 0,
            fine: [0; 2],
            fine_to: 0,
            args: raw,
        });
        self.code.last_mut().expect("it was just pushed")
    }

    /// Add a system call.
    pub(super) fn call(&mut self, nr: libc::c_long, args: &[Arg]) -> &mut Instruction {
        self.add(nr as u32, args)
    }

    /// Close a register's descriptor and empty it.
    pub(super) fn close(&mut self, register: u16) {
        self.call(libc::SYS_close, &[Arg::R(register)]);
        self.add(crate::sys::program::special::CLEAR, &[Arg::R(register)]);
    }

    /// Bytes in the data.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Arg {
        let at = self.data.len() as u64;
        self.data.extend_from_slice(bytes);
        Arg::D(at)
    }

    /// Bytes in the data at a multiple of 8.
    pub(super) fn aligned(&mut self, bytes: &[u8]) -> Arg {
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        self.bytes(bytes)
    }

    /// A NUL-terminated string, kept once.
    pub(super) fn string(&mut self, text: &str) -> Arg {
        if let Some(at) = self.strings.get(text) {
            return Arg::D(*at);
        }
        let at = self.data.len() as u64;
        self.data.extend_from_slice(text.as_bytes());
        self.data.push(0);
        self.strings.insert(text.to_owned(), at);
        Arg::D(at)
    }

    /// A string or a null pointer.
    pub(super) fn optional(&mut self, text: Option<&str>) -> Arg {
        text.map_or(Arg::N(0), |text| self.string(text))
    }

    /// The register of a plan's register.
    pub(super) fn register(&mut self, reg: Reg) -> u16 {
        let number = reg.0.saturating_add(FIRST_OF_PLAN);
        if usize::from(number) >= REGISTERS {
            self.overflow = true;
            return TEMP;
        }
        number
    }

    /// A text with room for its slots; gives its offset and for each slot the offset, the bytes behind it, the kind.
    pub(super) fn text(&mut self, text: &Text) -> (u64, Vec<(u64, u64, runstead_core::plan::Slot)>) {
        use crate::sys::program::SLOT;
        let start = self.data.len() as u64;
        let mut slots = Vec::new();
        let mut from = 0;
        for (at, slot) in &text.slots {
            self.data.extend_from_slice(&text.text.as_bytes()[from..*at]);
            slots.push((self.data.len() as u64, *slot));
            self.data.resize(self.data.len() + SLOT, 0);
            from = *at;
        }
        self.data.extend_from_slice(&text.text.as_bytes()[from..]);
        self.data.push(0);
        let end = self.data.len() as u64;
        // The last slot is filled first, so that what moves behind an earlier one is final.
        let filled = slots.into_iter().rev().map(|(at, slot)| (at, end - at - SLOT as u64, slot)).collect();
        (start, filled)
    }
}
