//! Named figures, one value per round, and how a number is written.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Figures in the order they were first recorded. In JSON each is its median.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<Figure>);

/// One figure over the rounds.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// One per round, in no order.
    values: Vec<f64>,
}

impl Figures {
    /// Adds one round's value.
    pub(crate) fn record(&mut self, name: &'static str, unit: &'static str, value: f64) {
        match self.0.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.values.push(value),
            None => self.0.push(Figure { name, unit, values: vec![value] }),
        }
    }

    /// Takes over all figures of another.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// The median of a figure, if it was recorded.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|figure| figure.name == name).map(|figure| figure.spread().median)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Figure> {
        self.0.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for figure in &self.0 {
            map.serialize_entry(figure.name, &Number(figure.spread().median))?;
        }
        map.end()
    }
}

/// The middle and the ends of the rounds' values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Figure {
    /// Of an even number of rounds the median is the mean of the middle two.
    pub(crate) fn spread(&self) -> Spread {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Spread { median: f64::midpoint(low, high), min: sorted[0], max: sorted[sorted.len() - 1] }
    }
}

/// A measured number: whole from 100 on, three decimals below, for more digits are noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number(pub(crate) f64);

impl Number {
    /// With the thousands apart, for people.
    pub(crate) fn grouped(self) -> String {
        let text = self.text();
        let (whole, fraction) =
            text.split_once('.').map_or((text.as_str(), None), |(w, f)| (w, Some(f)));
        let mut grouped = String::new();
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                grouped.push(' ');
            }
            grouped.push(digit);
        }
        if let Some(fraction) = fraction {
            grouped.push('.');
            grouped.push_str(fraction);
        }
        grouped
    }

    fn text(self) -> String {
        if self.0 >= 100.0 {
            return format!("{:.0}", self.0);
        }
        let text = format!("{:.3}", self.0);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text();
        match text.parse::<u64>() {
            Ok(whole) => serializer.serialize_u64(whole),
            Err(_) => serializer.serialize_f64(text.parse().unwrap_or(self.0)),
        }
    }
}
