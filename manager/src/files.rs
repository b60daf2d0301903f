//! Unit files on disk: enable, disable, mask and their like, planned by `core::install` and done by `os::unitdirs`.
use crate::shell::Shell;
use runstead_api::systemd1::action::{InstallFlags, UnitFiles};
use runstead_api::systemd1::errors::Error;
use runstead_core::engine::effect::Announcement;
use runstead_core::install::{self, Context, Flags, InstallError, Outcome, Preset, PresetMode, PresetRules};
use runstead_core::names::{UnitName, pattern};
use runstead_core::unitfile::search::{LoadPath, UserDirectories};
use runstead_os::unitdirs::{Disk, apply};
use runstead_wire::dbus::{Message, Writer};

impl Shell {
    /// Answer a call about unit files.
    pub(crate) fn unit_files(&mut self, call: &Message, request: UnitFiles) -> Result<Message, Error> {
        match &request {
            UnitFiles::GetDefault => {
                let name = self.with_context(install::get_default).map_err(|error| refused(&error))?;
                reply(call, |writer| {
                    writer.str(name.as_str());
                })
            }
            UnitFiles::GetState { file } => {
                let state = self.unit_file_state(file).map_err(|error| refused(&error))?;
                reply(call, |writer| {
                    writer.str(&state);
                })
            }
            UnitFiles::GetLinks { name, flags } => {
                let outcome = self.with_context(|context| {
                    install::disable(context, translate(*flags), std::slice::from_ref(name))
                });
                let links: Vec<String> = outcome
                    .map_err(|error| refused(&error))?
                    .changes
                    .into_iter()
                    .map(|change| change.path)
                    .collect();
                reply(call, |writer| {
                    writer.strings(&links);
                })
            }
            UnitFiles::List { states, patterns } => self.list_unit_files(call, states, patterns),
            _ => self.change_unit_files(call, &request),
        }
    }

    fn change_unit_files(&mut self, call: &Message, request: &UnitFiles) -> Result<Message, Error> {
        let outcome = self.with_context(|context| plan(context, &self.preset_rules(), request));
        let Outcome { changes, carries_install_info, error } = outcome.map_err(|error| refused(&error))?;
        let keep: Vec<String> = self.load_path().paths().map(str::to_owned).collect();
        apply(&changes, &keep)
            .map_err(|error| Error::new("org.freedesktop.DBus.Error.Failed", error.to_string()))?;
        if changes.iter().any(|change| change.kind.acts()) {
            self.loader.borrow_mut().refresh();
            self.announce(&Announcement::UnitFilesChanged);
        }
        if let Some(error) = error {
            return Err(refused(&error));
        }
        let with_info = match request {
            UnitFiles::Enable { .. } | UnitFiles::Reenable { .. } | UnitFiles::Preset { .. } => true,
            UnitFiles::Disable { with_info, .. } => *with_info,
            _ => false,
        };
        reply(call, |writer| {
            if with_info {
                writer.bool(carries_install_info);
            }
            writer.array("(sss)", |writer| {
                for change in &changes {
                    writer.structure(|writer| {
                        writer.str(change.kind.wire_name()).str(&change.path).str(&change.source);
                    });
                }
            });
        })
    }

    fn list_unit_files(
        &self,
        call: &Message,
        states: &[String],
        patterns: &[String],
    ) -> Result<Message, Error> {
        let files = self.with_context(install::list_unit_files);
        reply(call, |writer| {
            writer.array("(ss)", |writer| {
                for (name, listed) in &files {
                    let state = listed.state.as_str();
                    let wanted = states.is_empty() || states.iter().any(|wanted| wanted == state);
                    let matched = |one: &String| pattern::matches(one, name.as_str(), pattern::UNIT_RULES);
                    if wanted && (patterns.is_empty() || patterns.iter().any(matched)) {
                        writer.structure(|writer| {
                            writer.str(&listed.path).str(state);
                        });
                    }
                }
            });
        })
    }

    /// `UnitFileState` by name.
    pub(crate) fn unit_file_state(&self, name: &str) -> Result<String, InstallError> {
        let unit = UnitName::parse(name).map_err(|_| InstallError::InvalidName(name.to_owned()))?;
        self.with_context(|context| install::unit_file_state(context, &unit))
            .map(|state| state.as_str().to_owned())
    }

    /// `UnitFilePreset`: "enabled", "disabled", "ignored", or empty when there is no file.
    pub(crate) fn unit_file_preset(&self, name: &UnitName) -> String {
        if self.with_context(|context| context.find(name)).ok().flatten().is_none() {
            return String::new();
        }
        match self.preset_rules().query(name) {
            Preset::Enable(_) => "enabled",
            Preset::Disable => "disabled",
            Preset::Ignore => "ignored",
        }
        .to_owned()
    }

    fn preset_rules(&self) -> PresetRules {
        let kind = if self.options.user { "user" } else { "system" };
        PresetRules::load(&Disk, &install::preset_directories(&self.host.run_root, kind))
    }

    fn load_path(&self) -> LoadPath {
        if !self.options.user {
            return LoadPath::system(&self.host.run_root);
        }
        let home = std::env::var("HOME").unwrap_or_else(|_| "/".into());
        LoadPath::user(
            "/run",
            &UserDirectories {
                config_home: std::env::var("XDG_CONFIG_HOME").unwrap_or_else(|_| format!("{home}/.config")),
                data_home: std::env::var("XDG_DATA_HOME").unwrap_or_else(|_| format!("{home}/.local/share")),
                runtime: Some(self.host.run_root.clone()),
                config_dirs: vec!["/etc/xdg".into()],
                data_dirs: vec!["/usr/local/share".into(), "/usr/share".into()],
            },
        )
    }

    fn with_context<T>(&self, work: impl FnOnce(&Context<'_>) -> T) -> T {
        let host = self.host.host.specifiers();
        let manager = crate::own_user::specifiers(&self.options, &self.host.own_user, &self.host.run_root);
        let load_path = self.load_path();
        work(&Context { view: &Disk, load_path: &load_path, host: &host, manager: &manager })
    }
}

fn translate(flags: InstallFlags) -> Flags {
    Flags { runtime: flags.runtime, force: flags.force }
}

fn mode(word: &str) -> Result<PresetMode, InstallError> {
    match word {
        "full" | "" => Ok(PresetMode::Full),
        "enable-only" => Ok(PresetMode::EnableOnly),
        "disable-only" => Ok(PresetMode::DisableOnly),
        _ => Err(InstallError::Invalid(word.to_owned())),
    }
}

fn plan(context: &Context<'_>, rules: &PresetRules, request: &UnitFiles) -> Result<Outcome, InstallError> {
    match request {
        UnitFiles::Enable { files, flags } => install::enable(context, translate(*flags), files),
        UnitFiles::Disable { files, flags, .. } => install::disable(context, translate(*flags), files),
        UnitFiles::Reenable { files, flags } => install::reenable(context, translate(*flags), files),
        UnitFiles::Link { files, flags } => install::link(context, translate(*flags), files),
        UnitFiles::Mask { files, flags } => install::mask(context, translate(*flags), files),
        UnitFiles::Unmask { files, flags } => install::unmask(context, translate(*flags), files),
        UnitFiles::Revert { files } => install::revert(context, files),
        UnitFiles::SetDefault { name, .. } => install::set_default(context, name),
        UnitFiles::Preset { files, mode: word, flags } => {
            install::preset(context, translate(*flags), rules, mode(word)?, files)
        }
        UnitFiles::PresetAll { mode: word, flags } => {
            install::preset_all(context, translate(*flags), rules, mode(word)?)
        }
        UnitFiles::AddDependency { files, target, kind, flags } => {
            let suffix = match kind.as_str() {
                "Wants" => "wants",
                "Requires" => "requires",
                other => return Err(InstallError::Invalid(other.to_owned())),
            };
            install::add_dependency(context, translate(*flags), files, target, suffix)
        }
        UnitFiles::GetDefault
        | UnitFiles::GetState { .. }
        | UnitFiles::GetLinks { .. }
        | UnitFiles::List { .. } => Ok(Outcome::default()),
    }
}

/// The error names that clients know (sd-bus-errors(3) for those of errno).
fn refused(error: &InstallError) -> Error {
    let name = match error {
        InstallError::NotFound(_) => "org.freedesktop.systemd1.NoSuchUnit",
        InstallError::Masked(_) => "org.freedesktop.systemd1.UnitMasked",
        InstallError::Generated(_) => "org.freedesktop.systemd1.UnitGenerated",
        InstallError::Linked(_) => "org.freedesktop.systemd1.UnitLinked",
        InstallError::Exists(..) => "org.freedesktop.systemd1.UnitExists",
        InstallError::InvalidName(_) | InstallError::Invalid(_) => "org.freedesktop.DBus.Error.InvalidArgs",
        InstallError::Specifier(_) | InstallError::Alias(..) | InstallError::Template(..) => {
            "org.freedesktop.systemd1.BadUnitSetting"
        }
        InstallError::File(..) | InstallError::NoDirectory => "org.freedesktop.DBus.Error.FileNotFound",
    };
    Error::new(name, error.to_string())
}

fn reply(call: &Message, write: impl FnOnce(&mut Writer)) -> Result<Message, Error> {
    Message::method_return(call).build(write).map_err(Error::from)
}
