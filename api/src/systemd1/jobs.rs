//! Jobs as clients see them: their object, and the rows of `ListJobs`.
use super::errors::Error;
use super::interfaces::JOB;
use super::signals::job_path;
use runstead_core::directives::properties::Emits;
use runstead_core::engine::Engine;
use runstead_core::engine::effect::JobId;
use runstead_core::graph::Dependency;
use runstead_core::jobs::{Job, kinds, waits};
use runstead_core::names::unit_object_path;
use runstead_wire::dbus::Writer;

/// A property of a job.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub signature: &'static str,
    /// How a change is announced.
    pub emits: Emits,
    write: fn(&Engine, &Job, &mut Writer),
}

const fn p(
    name: &'static str,
    signature: &'static str,
    emits: Emits,
    write: fn(&Engine, &Job, &mut Writer),
) -> Row {
    Row { name, signature, emits, write }
}

/// Properties of `org.freedesktop.systemd1.Job`.
pub static ROWS: &[Row] = &[
    p("Id", "u", Emits::Const, |_, job, w| {
        w.u32(job.id.0);
    }),
    p("Unit", "(so)", Emits::Const, |engine, job, w| {
        let name = engine.get(job.unit).map(|unit| &unit.name);
        w.open_struct().str(name.map_or("", |name| name.as_str()));
        w.object_path(&name.map_or("/".to_owned(), unit_object_path)).close();
    }),
    p("JobType", "s", Emits::Const, |_, job, w| {
        w.str(kinds::as_str(job.kind));
    }),
    p("State", "s", Emits::Change, |_, job, w| {
        w.str(job.state.as_str());
    }),
    p("ActivationDetails", "a(ss)", Emits::Const, |_, _, w| {
        w.array("(ss)", |_| {});
    }),
];

/// Writes the value of a job's property, without its variant.
pub fn write(engine: &Engine, job: &Job, row: &Row, writer: &mut Writer) {
    (row.write)(engine, job, writer);
}

/// The job of this number.
pub fn find(engine: &Engine, id: JobId) -> Result<&Job, Error> {
    engine.job(id).ok_or_else(|| {
        Error::new("org.freedesktop.systemd1.NoSuchJob", format!("Job {} does not exist.", id.0))
    })
}

fn object(engine: &Engine, id: JobId) -> Result<&Job, Error> {
    engine.job(id).ok_or_else(|| Error::unknown_object(&job_path(id)))
}

/// `Get` on a job object.
pub fn job_property(engine: &Engine, id: JobId, property: &str, writer: &mut Writer) -> Result<(), Error> {
    let job = object(engine, id)?;
    let row = ROWS.iter().find(|row| row.name == property);
    let row = row.ok_or_else(|| Error::unknown_property(JOB.name, property))?;
    writer.variant(row.signature, |w| write(engine, job, row, w));
    Ok(())
}

/// `GetAll` on a job object.
pub fn job_properties(engine: &Engine, id: JobId, writer: &mut Writer) -> Result<(), Error> {
    let job = object(engine, id)?;
    writer.array("{sv}", |w| {
        for row in ROWS {
            w.entry_sv(row.name, row.signature, |w| write(engine, job, row, w));
        }
    });
    Ok(())
}

/// An `a(usssoo)` of jobs.
pub fn list<'a>(engine: &Engine, jobs: impl Iterator<Item = &'a Job>, writer: &mut Writer) {
    writer.array("(usssoo)", |w| {
        for job in jobs {
            let Some(unit) = engine.get(job.unit) else { continue };
            w.open_struct().u32(job.id.0).str(unit.name.as_str()).str(kinds::as_str(job.kind));
            w.str(job.state.as_str()).object_path(&job_path(job.id));
            w.object_path(&unit_object_path(&unit.name)).close();
        }
    });
}

/// Jobs that this one waits for, or (`waiting` false) that wait for it.
pub fn ordered(engine: &Engine, id: JobId, waiting: bool) -> Result<Vec<&Job>, Error> {
    let job = find(engine, id)?;
    let unit = engine.get(job.unit).ok_or_else(|| Error::unknown_object(&job_path(id)))?;
    let fits = |kind: Dependency, other: &Job| match waiting {
        true => waits(job.kind, kind, other.kind),
        false => waits(other.kind, kind.inverse(), job.kind),
    };
    let neighbours = [Dependency::Before, Dependency::After].into_iter().flat_map(|kind| {
        let others = unit.dependencies(kind).filter_map(|id| engine.job(engine.get(id)?.job?));
        others.filter(move |other| fits(kind, other)).collect::<Vec<_>>()
    });
    Ok(neighbours.collect())
}
