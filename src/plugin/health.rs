//! Temperatures, voltages and fans, in the shapes of RouterOS 6 and 7.

use super::answer::{Answer, first};
use super::context::ReadContext;
use super::limits;
use super::metric::Family;
use super::table::Table;
use crate::memory::{self, ALLOCATION};
use crate::routeros::client::Command;
use crate::routeros::error::{Cause, Error};
use crate::routeros::rows::Rows;
use crate::routeros::value;
use crate::routeros::wire::SentenceRef;

/// Maximum number of sensors of a router; the largest boards have about 30. Each has a row on the page and a series in
/// `/metrics`.
const MAX_SENSORS: usize = 100;

/// Maximum number of states on a card. The largest boards have two power supplies and four fans.
const MAX_STATES: usize = 8;

/// States that need no attention: a supply or fan that works, a redundant one on standby, and an empty bay. The other
/// known states are `fail` and `no-input`, a supply without mains.
const NORMAL_STATES: [&str; 3] = ["ok", "idle", "not-present"];

/// The quantity that a sensor measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Degrees Celsius.
    Temperature,
    /// Volts.
    Voltage,
    /// Revolutions per minute.
    FanSpeed,
    /// Amperes.
    Current,
    /// Watts.
    Power,
}

impl Quantity {
    const ALL: [Self; 5] = [Self::Temperature, Self::Voltage, Self::FanSpeed, Self::Current, Self::Power];

    /// The symbol of the unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Temperature => "°C",
            Self::Voltage => "V",
            Self::FanSpeed => "RPM",
            Self::Current => "A",
            Self::Power => "W",
        }
    }

    /// The `type` of a RouterOS 7 row.
    fn from_type(name: &[u8]) -> Option<Self> {
        match name {
            b"C" => Some(Self::Temperature),
            _ => Self::ALL.into_iter().find(|quantity| quantity.unit().as_bytes() == name),
        }
    }

    /// The quantity of a property of the single RouterOS 6 row, by its name.
    fn from_name(name: &str) -> Option<Self> {
        // x86 has `cpu-temp`, `temp1`, `fan1`, `3.3v`, `12v` and `core`, in RouterOS 7 too.
        let unnumbered = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let is_number = |text: &str| value::decimal(text.as_bytes()).is_some();
        match unnumbered {
            "core" => return Some(Self::Voltage),
            "fan" => return Some(Self::FanSpeed),
            _ if unnumbered.ends_with("temp") => return Some(Self::Temperature),
            _ if name.strip_suffix('v').is_some_and(is_number) => return Some(Self::Voltage),
            _ => {}
        }
        [
            ("temperature", Self::Temperature),
            ("voltage", Self::Voltage),
            ("speed", Self::FanSpeed),
            ("current", Self::Current),
            ("power", Self::Power),
        ]
        .into_iter()
        .find_map(|(part, quantity)| name.contains(part).then_some(quantity))
    }
}

/// One sensor of a router.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensor {
    /// RouterOS's name: `cpu-temperature`, `fan1-speed`, `psu1-state`.
    pub name: String,
    /// The value as the router sent it.
    pub value: String,
    /// The quantity and its value; `None` for a state such as `ok`.
    pub measure: Option<(Quantity, f64)>,
}

impl Sensor {
    fn cost(&self) -> usize {
        size_of::<Self>() + 2 * ALLOCATION + self.name.len() + self.value.len()
    }

    /// A state such as `ok`, `fail` or `not-present` of a power supply or fan. RouterOS gives these no type. x86 also has
    /// a property `state`, which is whether the sensors are enabled.
    pub fn state(&self) -> Option<&str> {
        let is_state = self.measure.is_none() && self.name.ends_with("-state") && !self.value.is_empty();
        is_state.then_some(&*self.value)
    }
}

/// The sensors of `/system/health`; none on boards without sensors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// In the router's order.
    pub sensors: Vec<Sensor>,
    /// Whether there are more.
    pub is_truncated: bool,
}

impl Health {
    /// One family per quantity, and one for states. If two sensors have the same name, the first one counts.
    pub(super) fn families(&self) -> Vec<Family> {
        let measured = [
            (
                Quantity::Temperature,
                "mikrotik_health_temperature_celsius",
                "Temperature at a sensor of the router, in degrees Celsius. Absent while it is unknown.",
            ),
            (
                Quantity::Voltage,
                "mikrotik_health_voltage_volts",
                "Voltage at a sensor of the router, in volts. Absent while it is unknown.",
            ),
            (
                Quantity::FanSpeed,
                "mikrotik_health_fan_speed_rpm",
                "Speed of a fan of the router, in revolutions per minute. Absent while it is unknown.",
            ),
        ];
        let families = measured.into_iter().map(|(quantity, name, help)| {
            let mut family = Family::gauge(name, help);
            for sensor in &self.sensors {
                if let Some((_, value)) = sensor.measure.filter(|(of, _)| *of == quantity) {
                    family.set_once([("sensor", &sensor.name)], value);
                }
            }
            family
        });
        let mut states = Family::gauge(
            "mikrotik_health_state",
            "Always 1; the label is the state of a power supply or fan of the router, such as ok or fail.",
        );
        for sensor in &self.sensors {
            if let Some(state) = sensor.state() {
                states.set_once([("sensor", sensor.name.as_str()), ("state", state)], 1.0);
            }
        }
        families.chain([states]).collect()
    }

    /// The abnormal states, such as `psu1-state: fail`; eight of them at most.
    pub fn bad_states(&self) -> Option<String> {
        let bad = self.sensors.iter().filter_map(|sensor| Some((&sensor.name, sensor.state()?)));
        let bad = bad.filter(|(_, state)| !NORMAL_STATES.contains(state)).take(MAX_STATES);
        let texts: Vec<String> = bad.map(|(name, state)| format!("{name}: {state}")).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }

    /// Bytes of memory that it takes.
    pub(super) fn cost(&self) -> usize {
        self.sensors.iter().map(Sensor::cost).sum()
    }

    /// The first sensors, up to `max_bytes` bytes.
    pub(super) fn truncated(&self, max_bytes: usize) -> Self {
        Self { sensors: memory::first(&self.sensors, Sensor::cost, max_bytes).to_vec(), is_truncated: true }
    }

    /// The reason why sensors are missing, if some are.
    pub(super) fn incomplete(&self) -> Option<String> {
        self.is_truncated.then(|| format!("only the first {} sensors are kept", self.sensors.len()))
    }

    /// One row per sensor.
    pub(super) fn table(&self) -> Table {
        let row = |sensor: &Sensor| {
            let unit = sensor.measure.map(|(quantity, _)| quantity.unit().to_string());
            vec![Some(sensor.name.clone()), Some(sensor.value.clone()), unit]
        };
        Table {
            columns: ["name", "value", "unit"].map(Into::into).into(),
            rows: self.sensors.iter().map(row).collect(),
        }
    }
}

/// The command that asks for the sensors.
pub(super) fn command() -> Command {
    // Without a .proplist: RouterOS 6 has one property per sensor, and their names differ by board.
    Command::new("/system/health/print")
}

/// Reads the answer to [`command`].
pub(super) fn read(answers: &[Answer], context: &ReadContext) -> Result<Health, Error> {
    let rows = match first(answers) {
        Ok(reply) => Some(&reply.rows),
        // A board without sensors lacks the menu, or has it empty, which depends on the version.
        Err(error) if error.cause == Cause::Unsupported => None,
        Err(error) => return Err(error),
    };
    let text = |value| value::short_text(value, limits::SENSOR, context.codepage);
    let sensors =
        rows.into_iter().flat_map(Rows::iter).flat_map(|row| match (row.get("name"), row.get("value")) {
            (Some(name), Some(value)) => {
                let quantity = row.get("type").and_then(Quantity::from_type);
                vec![sensor(text(name), text(value), quantity)]
            }
            // A sensor that currently has no value.
            (Some(_), None) => Vec::new(),
            (None, _) => properties(row)
                .take(MAX_SENSORS + 1)
                .map(|(name, value)| {
                    let name = text(name);
                    let quantity = Quantity::from_name(&name);
                    sensor(name, text(value), quantity)
                })
                .collect(),
        });
    let mut sensors: Vec<Sensor> = sensors.take(MAX_SENSORS + 1).collect();
    let is_truncated = sensors.len() > MAX_SENSORS;
    sensors.truncate(MAX_SENSORS);
    Ok(Health { sensors, is_truncated })
}

/// The properties of a RouterOS 6 row that are sensors.
fn properties(row: SentenceRef<'_>) -> impl Iterator<Item = (&[u8], &[u8])> {
    row.attributes().filter(|(name, value)| !name.starts_with(b".") && !value.is_empty())
}

fn sensor(name: String, value: String, quantity: Option<Quantity>) -> Sensor {
    // Some versions append the unit to the number: `24.1V`, `38C`.
    let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let measure = quantity.and_then(|quantity| Some((quantity, value::decimal(number.as_bytes())?)));
    Sensor { name, value, measure }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::routeros::client::Reply;
    use crate::routeros::codepage::Codepage;
    use crate::routeros::wire::Sentence;

    fn read(rows: &[&[&str]]) -> Vec<Sensor> {
        let rows = rows.iter().map(|row| Sentence::from_words(*row)).collect();
        let context = ReadContext::new(Moment::now(), Codepage::named("windows-1252").unwrap());
        super::read(&[Ok(Reply { rows, ..Reply::default() })], &context).unwrap().sensors
    }

    #[test]
    fn routeros_6_has_one_row_of_properties() {
        let row =
            ["!re", "=voltage=24.1", "=cpu-temperature=38C", "=fan1-speed=4200", "=fan-mode=auto", "=x="];
        let sensors = read(&[&row]);
        let measures: Vec<_> = sensors.iter().map(|s| (s.name.as_str(), s.measure)).collect();
        assert_eq!(
            measures,
            [
                ("voltage", Some((Quantity::Voltage, 24.1))),
                ("cpu-temperature", Some((Quantity::Temperature, 38.0))),
                ("fan1-speed", Some((Quantity::FanSpeed, 4200.0))),
                ("fan-mode", None),
            ]
        );
    }

    #[test]
    fn x86_has_one_row_of_properties_with_other_names() {
        for (name, value, measure) in [
            ("core", "1.2", Some((Quantity::Voltage, 1.2))),
            ("3.3v", "3.2", Some((Quantity::Voltage, 3.2))),
            ("12v", "12.1V", Some((Quantity::Voltage, 12.1))),
            ("voltage10", "5", Some((Quantity::Voltage, 5.0))),
            ("lm87-temp", "40", Some((Quantity::Temperature, 40.0))),
            ("cpu-temp", "51C", Some((Quantity::Temperature, 51.0))),
            ("temp3", "30", Some((Quantity::Temperature, 30.0))),
            ("fan1", "2400", Some((Quantity::FanSpeed, 2400.0))),
            ("fan-mode", "auto", None),
            ("cpu-overtemp-threshold", "100", None),
            ("state", "enabled", None),
        ] {
            let sensors = read(&[&["!re", &format!("={name}={value}")]]);
            assert_eq!(sensors[0].measure, measure, "{name}");
            assert_eq!(sensors[0].state(), None, "{name}");
        }
    }

    #[test]
    fn abnormal_states_are_listed() {
        let state = |name: &str, value: &str| sensor(name.into(), value.into(), None);
        let mut sensors = vec![state("state", "disabled"), state("x-state", "")];
        for (value, is_normal) in [
            ("ok", true),
            ("idle", true),
            ("not-present", true),
            ("no-input", false),
            ("fail", false),
            ("a state of a later version", false),
        ] {
            let health = Health { sensors: vec![state("psu1-state", value)], ..Health::default() };
            assert_eq!(health.bad_states().is_none(), is_normal, "{value}");
        }
        sensors.extend([state("psu1-state", "ok"), state("psu3-state", "not-present")]);
        assert_eq!(Health { sensors: sensors.clone(), ..Health::default() }.bad_states(), None);
        sensors.extend([state("psu2-state", "no-input"), state("fan-state", "fail")]);
        let health = Health { sensors, ..Health::default() };
        assert_eq!(health.bad_states().as_deref(), Some("psu2-state: no-input, fan-state: fail"));
        let states = health.families().pop().unwrap();
        assert_eq!((&*states.name, states.series().count()), ("mikrotik_health_state", 4));
    }

    #[test]
    fn routeros_7_has_one_row_per_sensor() {
        let sensors = read(&[
            &["!re", "=.id=*D", "=name=cpu-temperature", "=value=-4", "=type=C"],
            &["!re", "=.id=*E", "=name=psu1-state", "=value=fail"],
            &["!re", "=.id=*10", "=name=fan1-speed", "=type=RPM"],
            &["!re", "=.id=*F", "=name=poe-out-consumption", "=value=1.5", "=type=W"],
        ]);
        assert_eq!(sensors[0].measure, Some((Quantity::Temperature, -4.0)));
        assert_eq!((sensors[1].measure, sensors[1].value.as_str()), (None, "fail"));
        assert_eq!(sensors[2].measure, Some((Quantity::Power, 1.5)));
        assert_eq!(Health { sensors, ..Health::default() }.table().rows[0][2].as_deref(), Some("°C"));
    }

    #[test]
    fn sensors_are_limited_in_number_and_length() {
        let long = "x".repeat(100_000);
        let row = |n: usize| {
            Sentence::from_words([
                "!re".into(),
                format!("=name=s{n}-{long}"),
                format!("=value={n}{long}"),
                "=type=C".into(),
            ])
        };
        let one = Sentence::from_words(
            std::iter::once("!re".to_string()).chain((0..1000).map(|n| format!("=fan{n}-speed={n}"))),
        );
        let context = ReadContext::new(Moment::now(), Codepage::named("windows-1252").unwrap());
        let read = |rows: Rows| {
            let health = super::read(&[Ok(Reply { rows, ..Reply::default() })], &context).unwrap();
            let why = health.incomplete();
            (health.sensors, why)
        };
        let (sensors, why) = read((0..MAX_SENSORS).map(row).collect());
        assert_eq!((sensors.len(), why), (MAX_SENSORS, None));
        let texts = sensors.iter().flat_map(|sensor| [&sensor.name, &sensor.value]);
        assert!(texts.into_iter().all(|text| text.chars().count() == limits::SENSOR && text.ends_with('…')));
        for rows in [(0..=MAX_SENSORS).map(row).collect(), [one].into_iter().collect()] {
            let (sensors, why) = read(rows);
            assert_eq!(sensors.len(), MAX_SENSORS);
            assert_eq!(why.as_deref(), Some("only the first 100 sensors are kept"));
        }
    }

    #[test]
    fn a_board_without_sensors_has_none() {
        assert_eq!(read(&[]), []);
        assert_eq!(read(&[&["!re"]]), []);
    }
}
