//! A pipeline's graph in box characters. Where the boxes do not fit, a list says the same; where even the list
//! would be too long, each layer is summed up.

mod canvas;

use std::collections::BTreeMap;

use tidemill_dag::layout::Layout;
use unicode_width::UnicodeWidthStr;

use crate::table::shorten;
use canvas::Canvas;

/// More tasks than this are not drawn as boxes.
const MAX_BOXES: usize = 40;
/// More tasks than this are summed up by layer.
const MAX_LINES: usize = 80;
/// Columns between two boxes.
const GAP: usize = 2;
/// A label is not shown wider.
const MAX_LABEL: usize = 30;

/// What stands in the box of a task: its name is not repeated here.
pub type Label<'l> = &'l dyn Fn(&str) -> String;

/// The graph, at most `width` columns wide.
pub fn draw(layout: &Layout, label: Label<'_>, width: usize) -> String {
    if layout.nodes.len() > MAX_LINES {
        return summary(layout, width);
    }
    let boxes = if layout.nodes.len() <= MAX_BOXES { as_boxes(layout, label, width) } else { None };
    boxes.unwrap_or_else(|| as_list(layout, label, width))
}

/// One line per layer.
fn summary(layout: &Layout, width: usize) -> String {
    let mut ranks: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for node in &layout.nodes {
        ranks.entry(node.rank).or_default().push(&node.name);
    }
    let mut out = format!("{} tasks in {} layers, {} edges\n", layout.nodes.len(), ranks.len(), layout.routes.len());
    let shown = 30;
    for (rank, names) in ranks.iter().take(shown) {
        let line =
            format!("layer {:>3}: {:>6} tasks: {}", rank + 1, names.len(), names[..names.len().min(8)].join(", "));
        out.push_str(&shorten(&line, width));
        out.push('\n');
    }
    if ranks.len() > shown {
        out.push_str(&format!("… and {} more layers\n", ranks.len() - shown));
    }
    out
}

/// One line per task, with the tasks before it.
fn as_list(layout: &Layout, label: Label<'_>, width: usize) -> String {
    let mut nodes: Vec<_> = layout.nodes.iter().collect();
    nodes.sort_by_key(|n| (n.rank, n.slot));
    let longest = nodes.iter().map(|n| n.name.width()).max().unwrap_or(0).min(MAX_LABEL);
    let mut out = String::new();
    for node in nodes {
        let mut before: Vec<&str> =
            layout.routes.iter().filter(|r| r.to == node.name).map(|r| r.from.as_str()).collect();
        before.dedup();
        let arrow = if before.is_empty() { String::new() } else { format!("  ◀ {}", before.join(", ")) };
        let name = shorten(&node.name, MAX_LABEL);
        let pad = " ".repeat(longest.saturating_sub(name.width()));
        out.push_str(shorten(&format!("{name}{pad}  {}{arrow}", label(&node.name)), width).trim_end());
        out.push('\n');
    }
    out
}

/// A box of the drawing.
struct Boxed {
    rank: usize,
    slot: usize,
    lines: [String; 2],
    width: usize,
}

fn as_boxes(layout: &Layout, label: Label<'_>, width: usize) -> Option<String> {
    let boxes: Vec<Boxed> = layout
        .nodes
        .iter()
        .map(|node| {
            let lines = [shorten(&node.name, MAX_LABEL), shorten(&label(&node.name), MAX_LABEL)];
            let inner = lines.iter().map(|l| l.width()).max().unwrap_or(0);
            Boxed { rank: node.rank, slot: node.slot, lines, width: inner + 4 }
        })
        .collect();
    let centers = centers(layout, &boxes);
    let ends = boxes.iter().map(|b| left(b, &centers) + b.width);
    let total = ends.chain(centers.iter().map(|center| center + 1)).max().unwrap_or(0);
    if total > width {
        return None;
    }
    let channels: Vec<Channel> =
        (0..layout.ranks.saturating_sub(1)).map(|rank| Channel::of(layout, rank, &centers)).collect();
    let mut canvas = Canvas::new(total);
    let heights = channels.iter().map(|channel| 4 + channel.height());
    let tops: Vec<usize> = std::iter::once(0)
        .chain(heights)
        .scan(0, |row, height| {
            *row += height;
            Some(*row)
        })
        .collect();
    for b in &boxes {
        canvas.frame(tops[b.rank], left(b, &centers), b.width, &b.lines);
    }
    for (rank, top) in tops.iter().enumerate() {
        passing(layout, rank, |slot| canvas.vertical(centers[slot], *top, top + 3, usize::MAX));
        if let Some(channel) = channels.get(rank) {
            channel.draw(&mut canvas, top + 3);
        }
    }
    Some(canvas.text())
}

fn left(b: &Boxed, centers: &[usize]) -> usize {
    centers[b.slot] - b.width / 2
}

/// The middle column of each slot.
fn centers(layout: &Layout, boxes: &[Boxed]) -> Vec<usize> {
    let slots = layout.routes.iter().flat_map(|r| &r.points).map(|p| p.1 + 1).chain([layout.slots]).max().unwrap_or(0);
    let mut x = 0;
    let mut centers = Vec::with_capacity(slots);
    for slot in 0..slots {
        let width = boxes.iter().filter(|b| b.slot == slot).map(|b| b.width).max().unwrap_or(1);
        centers.push(x + width / 2);
        x += width + GAP;
    }
    centers
}

/// The slots where an edge only passes through a layer.
fn passing(layout: &Layout, rank: usize, mut take: impl FnMut(usize)) {
    for route in &layout.routes {
        let inner = route.points.len().saturating_sub(1);
        for (index, (r, slot)) in route.points.iter().enumerate() {
            if *r == rank && index > 0 && index < inner {
                take(*slot);
            }
        }
    }
}

/// The space between two layers: each source that has to go sideways gets a row of its own.
struct Channel {
    nets: Vec<Net>,
}

/// Everything that leaves one place of the upper layer.
struct Net {
    from: usize,
    to: Vec<usize>,
    /// Its row in the channel; none where all goes straight down.
    track: Option<usize>,
}

impl Channel {
    fn of(layout: &Layout, rank: usize, centers: &[usize]) -> Self {
        let mut nets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for route in &layout.routes {
            for pair in route.points.windows(2) {
                if pair[0].0 == rank {
                    nets.entry(centers[pair[0].1]).or_default().push(centers[pair[1].1]);
                }
            }
        }
        let mut nets: Vec<Net> = nets
            .into_iter()
            .map(|(from, mut to)| {
                to.sort_unstable();
                to.dedup();
                Net { from, to, track: None }
            })
            .collect();
        assign_tracks(&mut nets);
        Self { nets }
    }

    fn height(&self) -> usize {
        self.nets.iter().filter_map(|net| net.track).max().map_or(1, |last| last + 1)
    }

    /// Draws from the lower edge of the upper boxes (`top`) to the upper edge of the lower ones.
    fn draw(&self, canvas: &mut Canvas, top: usize) {
        let bottom = top + 1 + self.height();
        for (id, net) in self.nets.iter().enumerate() {
            if let Some(track) = net.track {
                let row = top + 1 + track;
                let ends = net.to.iter().chain([&net.from]);
                let (low, high) = ends.fold((usize::MAX, 0), |(l, h), x| (l.min(*x), h.max(*x)));
                canvas.horizontal(row, low, high, id);
            }
        }
        for (id, net) in self.nets.iter().enumerate() {
            match net.track {
                None => canvas.vertical(net.from, top, bottom, id),
                Some(track) => {
                    canvas.vertical(net.from, top, top + 1 + track, id);
                    for to in &net.to {
                        canvas.vertical(*to, top + 1 + track, bottom, id);
                    }
                }
            }
            for to in &net.to {
                canvas.arrow(bottom, *to);
            }
        }
    }
}

/// A source whose column another one comes down in must have turned away above it.
fn assign_tracks(nets: &mut [Net]) {
    let mut open: Vec<usize> = (0..nets.len()).filter(|i| nets[*i].to != [nets[*i].from]).collect();
    let mut track = 0;
    while !open.is_empty() {
        let free = |i: &usize| {
            let mine = &nets[*i];
            open.iter().all(|other| {
                other == i || !mine.to.contains(&nets[*other].from) || nets[*other].to.contains(&nets[*other].from)
            })
        };
        let position = open.iter().position(free).unwrap_or(0);
        nets[open.remove(position)].track = Some(track);
        track += 1;
    }
}

#[cfg(test)]
mod tests;
