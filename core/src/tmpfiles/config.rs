//! Files of lines to a plan.
use super::line::{self, Outcome};
use super::plan::{Builder, Plan};
use super::{Host, Place};

/// The text of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What people call it.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// How much something matters that is told of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The line is none, and is ignored.
    Wrong,
    /// The line may not do what was meant.
    Odd,
    /// The line does not count here.
    Skipped,
}

/// What is told of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Which one.
    pub place: Place,
    /// How much it matters.
    pub weight: Weight,
    /// For people.
    pub text: String,
}

/// What became of files.
#[derive(Debug, Default)]
pub struct Planned {
    /// What is to be done.
    pub plan: Plan,
    /// Of lines, in order.
    pub told: Vec<Told>,
    /// Some line is none.
    pub invalid: bool,
    /// Some line is so wrong that nothing is to be done when its file was given by name.
    pub fatal: bool,
}

/// Makes a plan of files in order.
pub fn plan(sources: &[Source], options: &line::Options, host: &dyn Host) -> Planned {
    let (mut builder, mut planned) = (Builder::default(), Planned::default());
    for source in sources {
        for (number, text) in source.lines() {
            let place = Place { file: source.name.clone(), line: number };
            planned.line(text, place, options, host, &mut builder);
        }
    }
    planned.plan = builder.plan();
    planned
}

impl Source {
    /// The lines that are neither empty nor comments, with their numbers. A zero byte ends a line, too.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let numbered = (1..).zip(self.bytes.split(|byte| matches!(byte, b'\n' | b'\0')));
        let trimmed = numbered.map(|(number, line)| (number, line.trim_ascii()));
        trimmed.filter(|(_, line)| !matches!(line.first(), None | Some(b'#')))
    }
}

impl Planned {
    fn line(
        &mut self,
        text: &[u8],
        place: Place,
        options: &line::Options,
        host: &dyn Host,
        builder: &mut Builder,
    ) {
        let parsed = match std::str::from_utf8(text) {
            Ok(text) => line::parse(text, place.clone(), options, host),
            Err(_) => Err("it is not valid UTF-8".into()),
        };
        let mut tell = |weight, text| self.told.push(Told { place: place.clone(), weight, text });
        match parsed {
            Ok(Outcome::Item(item, told)) => {
                told.into_iter().for_each(|text| tell(Weight::Odd, text));
                let path = item.path.clone();
                if !builder.add(*item) {
                    let text = format!("another line for {path} says something else, this one is ignored");
                    tell(Weight::Odd, text);
                }
            }
            Ok(Outcome::Skipped(why)) => tell(Weight::Skipped, format!("skipped: {why}")),
            Err(error) => {
                tell(Weight::Wrong, format!("{}; the line is ignored", error.why));
                self.invalid |= !error.fatal;
                self.fatal |= error.fatal;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::Bare;
    use super::*;

    #[test]
    fn what_is_wrong_names_file_and_line() {
        let bytes = b"# comment\n\nd /a 0755\ny /b\nd /a 0700\nf! /c\nf~ /d - - - - !\nd /\xff".to_vec();
        let source = Source { name: "x.conf".into(), bytes };
        let planned = plan(&[source], &line::Options::default(), &Bare);
        let told: Vec<(usize, Weight)> = planned.told.iter().map(|t| (t.place.line, t.weight)).collect();
        let wrong = [(4, Weight::Wrong), (5, Weight::Odd), (6, Weight::Skipped), (7, Weight::Wrong)];
        assert_eq!(told, [&wrong[..], &[(8, Weight::Wrong)]].concat());
        assert!(planned.invalid && planned.fatal && planned.plan.entries.len() == 1);
        assert!(planned.told.iter().all(|told| told.place.file == "x.conf"));
    }
}
