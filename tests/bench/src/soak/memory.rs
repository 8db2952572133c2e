//! How much memory processes have, looked at again and again.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::Outcome;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// So many looks make up the start and the end: one alone may meet a peak.
const EDGE: usize = 5;

/// A process, alone or with those that it started.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    name: &'static str,
    pid: u32,
    children: bool,
}

/// Megabytes of a process.
#[derive(Debug, Clone, Serialize)]
pub struct Memory {
    pub process: &'static str,
    /// Its proportional set size: with its part of the files and buffers that it shares with others.
    pub all: Course,
    /// Of that what nobody else has: heap and stacks. Pages of files come and go with whoever else maps them; what a process leaks
    /// is here.
    pub own: Course,
    /// Looks.
    pub samples: usize,
}

/// How a size went, in megabytes.
#[derive(Debug, Clone, Serialize)]
pub struct Course {
    /// Before any load.
    pub idle: f64,
    /// When the long part began.
    pub start: f64,
    /// In its middle.
    pub p50: f64,
    /// When it ended.
    pub end: f64,
    /// At its peak.
    pub most: f64,
    /// By how much the second half of the time would make it grow within an hour: the slope of the line that fits best.
    pub per_hour: f64,
}

/// One look at one process.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    all: f64,
    own: f64,
}

impl std::ops::Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { all: self.all + other.all, own: self.own + other.own }
    }
}

/// Looks so far.
#[derive(Debug)]
pub struct Sample {
    watched: Vec<Watched>,
    idle: Vec<Size>,
    looks: Vec<(f64, Vec<Size>)>,
    since: Instant,
    next: Instant,
}

impl Watched {
    /// A process.
    pub const fn one(name: &'static str, pid: u32) -> Self {
        Self { name, pid, children: false }
    }

    /// A process with its children, as the sessions of a PostgreSQL.
    pub const fn with_children(name: &'static str, pid: u32) -> Self {
        Self { name, pid, children: true }
    }

    fn megabytes(&self) -> Outcome<Size> {
        let mut sum = size(self.pid).ok_or_else(|| format!("{} is gone", self.name))?;
        if self.children {
            let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid))?;
            // One that ends between the two looks has no memory.
            let sizes = children.split_whitespace().filter_map(|child| size(child.parse().ok()?));
            sum = sizes.fold(sum, |sum, size| sum + size);
        }
        Ok(sum)
    }
}

fn size(pid: u32) -> Option<Size> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let megabytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok().map(|kilobytes| kilobytes / 1_000.0)
    };
    Some(Size { all: megabytes("Pss:")?, own: megabytes("Pss_Anon:")? })
}

impl Sample {
    /// Before any load.
    pub fn new(watched: Vec<Watched>) -> Outcome<Self> {
        let idle = watched.iter().map(Watched::megabytes).collect::<Outcome<_>>()?;
        let now = Instant::now();
        Ok(Self { watched, idle, looks: Vec::new(), since: now, next: now })
    }

    /// The long part begins.
    pub fn begin(&mut self) {
        self.since = Instant::now();
        self.next = self.since;
    }

    /// Looks, if it is time.
    pub fn look(&mut self) -> Outcome<()> {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + PAUSE;
            let sizes = self.watched.iter().map(Watched::megabytes).collect::<Outcome<_>>()?;
            self.looks.push((now.duration_since(self.since).as_secs_f64(), sizes));
        }
        Ok(())
    }

    /// What was seen.
    pub fn done(self) -> Outcome<Vec<Memory>> {
        if self.looks.len() < 2 * EDGE {
            return Err(format!("only {} looks at memory: that was too short", self.looks.len()).into());
        }
        let line = |(place, watched): (usize, &Watched)| Memory {
            process: watched.name,
            all: self.course(place, |size| size.all),
            own: self.course(place, |size| size.own),
            samples: self.looks.len(),
        };
        Ok(self.watched.iter().enumerate().map(line).collect())
    }

    fn course(&self, place: usize, of: fn(Size) -> f64) -> Course {
        let points: Vec<(f64, f64)> = self.looks.iter().map(|(at, sizes)| (*at, of(sizes[place]))).collect();
        let sizes: Vec<f64> = points.iter().map(|(_, size)| *size).collect();
        Course {
            idle: of(self.idle[place]),
            start: median(&sizes[..EDGE]),
            p50: median(&sizes),
            end: median(&sizes[sizes.len() - EDGE..]),
            most: sizes.iter().copied().fold(0.0, f64::max),
            per_hour: slope(&points[points.len() / 2..]) * 3_600.0,
        }
    }
}

fn median(sizes: &[f64]) -> f64 {
    let mut sorted = sizes.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Of the line with the least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (above, below) = points.iter().fold((0.0, 0.0), |(above, below), point| {
        (above + (point.0 - x) * (point.1 - y), below + (point.0 - x).powi(2))
    });
    if below == 0.0 { 0.0 } else { above / below }
}

#[cfg(test)]
mod tests {
    use super::{median, size, slope};

    #[test]
    fn the_slope_is_that_of_the_line() {
        let line: Vec<(f64, f64)> = (0..10).map(|x| (f64::from(x), 3.0 + 0.5 * f64::from(x))).collect();
        assert!((slope(&line) - 0.5).abs() < 1e-9);
        assert!(slope(&[(1.0, 4.0)]).abs() < 1e-9);
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn this_process_has_a_size() {
        assert!(size(std::process::id()).is_some_and(|size| size.own > 0.1 && size.all > size.own));
        assert!(size(u32::MAX).is_none());
    }
}
