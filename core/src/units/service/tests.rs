//! Services driven without a job queue: functions of the machine are called as the engine would.
use super::*;
use crate::directives::{ids, row};
use crate::engine::clock::Now;
use crate::engine::effect::{Command, Effect};
use crate::engine::event::Event;
use crate::engine::{Engine, ManagerConfig};
use crate::names::UnitName;
use crate::settings::{DirectiveId, Value};
use std::rc::Rc;
