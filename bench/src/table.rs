//! The table: what each row shows, what it is to reach (DESIGN 10), and how far from that it may be before something is broken.

use crate::SERVICES;
use crate::measure::Figures;

/// One run.
#[derive(Debug)]
pub struct Measured {
    /// Microseconds of the raw loop.
    pub floor: f64,
    /// The reference's figures.
    pub reference: Option<Figures>,
    /// Ours.
    pub ours: Option<Figures>,
}

/// What a figure of ours may be.
#[derive(Clone, Copy)]
enum Bound {
    None,
    /// In the row's unit.
    AtMost(f64),
    /// As a part of the reference's.
    OfReference(f64),
}

struct Row {
    label: &'static str,
    /// The figure in the row's unit.
    get: fn(&Figures) -> f64,
    unit: &'static str,
    digits: usize,
    /// What is to be reached.
    reach: Bound,
    /// Beyond this something is broken, whatever else the machine does.
    broken: Bound,
}

const fn row(
    label: &'static str,
    get: fn(&Figures) -> f64,
    unit: &'static str,
    digits: usize,
    reach: Bound,
    broken: Bound,
) -> Row {
    Row { label, get, unit, digits, reach, broken }
}

use Bound::{AtMost, OfReference};

const ROWS: &[Row] = &[
    row(
        "500 services side by side, exec of PID 1 to the last exec",
        |f| f.side_by_side / 1e3,
        "ms",
        1,
        Bound::None,
        OfReference(0.2),
    ),
    row("  the same as a multiple of the raw loop", |f| f.multiple, "x", 1, AtMost(3.0), AtMost(8.0)),
    row(
        "one step in a chain of 200 oneshots",
        |f| f.chain_step / 1e3,
        "ms",
        2,
        AtMost(1.0),
        OfReference(0.4),
    ),
    row(
        "anonymous memory of PID 1, 10 s after the boot",
        |f| f.memory / 1e6,
        "MB",
        2,
        AtMost(2.0),
        OfReference(0.6),
    ),
    row("  for each loaded unit", |f| f.memory_unit / 1e3, "KB", 2, Bound::None, OfReference(0.8)),
    row(
        "daemon-reload, 1,000 units more, generators apart",
        |f| f.reload[0] / 1e3,
        "ms",
        1,
        Bound::None,
        OfReference(0.2),
    ),
    row(
        "daemon-reload, 4,000 units more, generators apart",
        |f| f.reload[1] / 1e3,
        "ms",
        1,
        OfReference(0.1),
        OfReference(0.1),
    ),
    row("  t(4,000) / t(1,000)", |f| f.reload[1] / f.reload[0].max(1.0), "x", 2, AtMost(4.5), AtMost(8.0)),
    row(
        "a session: su -c true less the same without",
        |f| f.login / 1e3,
        "ms",
        1,
        OfReference(0.5),
        Bound::None,
    ),
    row(
        "a user's manager, from start to active",
        |f| f.user_manager / 1e3,
        "ms",
        1,
        OfReference(0.5),
        OfReference(1.0),
    ),
    row(
        "  its memory (proportional share)",
        |f| f.user_memory / 1e6,
        "MB",
        2,
        OfReference(0.5),
        OfReference(1.0),
    ),
    row("a scope, after the boot", |f| f.scope[0] / 1e3, "ms", 2, Bound::None, OfReference(4.0)),
    row("a scope, 4,000 units more", |f| f.scope[1] / 1e3, "ms", 2, Bound::None, OfReference(4.0)),
];

impl Bound {
    fn holds(self, ours: f64, reference: Option<f64>) -> bool {
        match self {
            Bound::None => true,
            AtMost(limit) => ours <= limit,
            OfReference(part) => reference.is_none_or(|reference| ours <= part * reference),
        }
    }

    fn text(self, row: &Row) -> String {
        match self {
            Bound::None => String::new(),
            AtMost(limit) => format!("{limit} {}", row.unit),
            OfReference(part) => format!("{part} ref."),
        }
    }
}

impl Measured {
    /// Print the table.
    pub fn print(&self) {
        println!("{:58} {:>12} {:>12} {:>10} {:>10}", "", "reference", "ours", "ours/ref.", "to reach");
        println!("{:58} {:.1} ms", format!("{SERVICES} programs, raw posix_spawn loop"), self.floor / 1e3);
        for row in ROWS {
            let [reference, ours] = self.figures(row);
            let cell = |figure: Option<f64>| match figure {
                Some(figure) => format!("{figure:.*} {}", row.digits, row.unit),
                None => "-".to_owned(),
            };
            let ratio = reference.zip(ours).map_or("-".to_owned(), |(r, o)| format!("{:.3}", o / r));
            let missed = ours.is_some_and(|ours| !row.reach.holds(ours, reference));
            println!(
                "{:58} {:>12} {:>12} {ratio:>10} {:>10}{}",
                row.label,
                cell(reference),
                cell(ours),
                row.reach.text(row),
                if missed { "  not reached" } else { "" }
            );
        }
    }

    /// Labels of the rows where something is broken.
    pub fn out_of_bounds(&self) -> Vec<&'static str> {
        let broken = |row: &&Row| {
            let [reference, ours] = self.figures(row);
            ours.is_some_and(|ours| !row.broken.holds(ours, reference))
        };
        ROWS.iter().filter(broken).map(|row| row.label.trim()).collect()
    }

    fn figures(&self, row: &Row) -> [Option<f64>; 2] {
        [&self.reference, &self.ours].map(|of| of.as_ref().map(|figures| (row.get)(figures)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_from_the_reference_is_named() {
        let reference = Figures { chain_step: 1000.0, memory: 4e6, ..Figures::default() };
        let mut measured = Measured { floor: 1.0, ours: Some(reference.clone()), reference: Some(reference) };
        assert_eq!(
            measured.out_of_bounds(),
            ["one step in a chain of 200 oneshots", "anonymous memory of PID 1, 10 s after the boot"]
        );
        measured.ours = Some(Figures { chain_step: 100.0, memory: 1e6, ..Figures::default() });
        assert!(measured.out_of_bounds().is_empty());
    }
}
