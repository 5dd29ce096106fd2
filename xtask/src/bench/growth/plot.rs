//! A plot as SVG: small, without a program beside it, readable on a light and on a dark page.

use std::fmt::Write;

const WIDTH: f64 = 640.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 40.0;
/// Room for half of a label at both ends of the horizontal axis.
const SIDE: f64 = 30.0;
/// From the uppermost to the lowest line of the grid.
const HEIGHT: f64 = 220.0;
const LEGEND_LINE: f64 = 18.0;

/// The page's reader has chosen light or dark, and the colours follow.
const STYLE: &str = "\
<style>
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 14px; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .line { fill: none; stroke-width: 2; }
  .c0 { stroke: #0969da; } .c1 { stroke: #bc4c00; } .c2 { stroke: #1a7f37; } .c3 { stroke: #8250df; } .c4 { stroke: #6e7781; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .grid { stroke: #30363d; }
    .c0 { stroke: #58a6ff; } .c1 { stroke: #ffa657; } .c2 { stroke: #56d364; } .c3 { stroke: #d2a8ff; } .c4 { stroke: #8b949e; }
  }
</style>
";
/// So that lines can be told apart without colours. As many as there are colours.
const DASHES: [&str; 5] = ["none", "8 4", "2 3", "10 3 2 3", "5 2"];

#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: String,
    /// From left to right.
    pub(super) points: Vec<(f64, f64)>,
}

#[derive(Debug)]
pub(super) struct Plot {
    pub(super) title: &'static str,
    /// With its unit.
    pub(super) x_axis: &'static str,
    pub(super) y_axis: &'static str,
    pub(super) lines: Vec<Line>,
}

impl Plot {
    pub(super) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Across::over(points().map(|point| point.0));
        let y = Upwards::to(points().map(|point| point.1).fold(0.0, f64::max));
        let legend = self.lines.iter().map(|_| LEGEND_LINE).sum::<f64>();
        let height = TOP + HEIGHT + 50.0 + legend;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
             <title>{}</title>\n{STYLE}<text class=\"title\" x=\"0\" y=\"14\">{}</text>\n<text x=\"0\" y=\"31\">{}</text>\n",
            escaped(self.title),
            escaped(self.title),
            escaped(self.y_axis)
        );
        y.draw(&mut svg);
        self.draw_x_axis(&x, &mut svg);
        for (line, number) in self.lines.iter().zip(0..) {
            draw_line(line, number, &x, &y, &mut svg);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn draw_x_axis(&self, x: &Across, svg: &mut String) {
        let below = TOP + HEIGHT + 16.0;
        let mut sizes: Vec<f64> = self
            .lines
            .iter()
            .flat_map(|line| line.points.iter().map(|point| point.0))
            .collect();
        sizes.sort_by(f64::total_cmp);
        sizes.dedup();
        for size in sizes {
            let place = x.place(size);
            text(svg, (place, below), "middle", &amount(size));
        }
        text(svg, (WIDTH - RIGHT, below + 16.0), "end", self.x_axis);
    }
}

/// The horizontal axis: each doubling takes the same room. Zero stands a decade before the rest.
#[derive(Debug)]
struct Across {
    least: f64,
    most: f64,
}

impl Across {
    fn over(sizes: impl Iterator<Item = f64> + Clone) -> Self {
        let positive = sizes.clone().filter(|size| *size > 0.0);
        let least = positive.fold(f64::INFINITY, f64::min);
        let has_zero = sizes.clone().any(|size| size <= 0.0);
        Self {
            least: if has_zero { least / 10.0 } else { least },
            most: sizes.fold(0.0, f64::max),
        }
    }

    fn place(&self, size: f64) -> f64 {
        let span = (self.most / self.least).ln();
        let share = match span > 0.0 {
            true => (size.max(self.least) / self.least).ln() / span,
            // A single size.
            false => 0.5,
        };
        LEFT + SIDE + share * (WIDTH - LEFT - RIGHT - 2.0 * SIDE)
    }
}

/// The vertical axis, from nothing to a round number.
#[derive(Debug)]
struct Upwards {
    step: f64,
    steps: u8,
}

impl Upwards {
    fn to(most: f64) -> Self {
        const STEPS_AT_MOST: f64 = 5.0;
        let most = most.max(1e-6);
        let decade = 10_f64.powf((most / STEPS_AT_MOST).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * decade)
            .find(|step| most / step <= STEPS_AT_MOST)
            .unwrap_or(most);
        let mut steps = 1;
        while f64::from(steps) * step < most {
            steps += 1;
        }
        Self { step, steps }
    }

    fn place(&self, figure: f64) -> f64 {
        TOP + HEIGHT - figure / (self.step * f64::from(self.steps)) * HEIGHT
    }

    fn draw(&self, svg: &mut String) {
        for number in 0..=self.steps {
            let figure = f64::from(number) * self.step;
            let place = self.place(figure);
            svg.extend([format!(
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{place:.1}\" x2=\"{}\" y2=\"{place:.1}\"/>\n",
                WIDTH - RIGHT
            )]);
            text(svg, (LEFT - 6.0, place + 4.0), "end", &amount(figure));
        }
    }
}

fn draw_line(line: &Line, number: usize, x: &Across, y: &Upwards, svg: &mut String) {
    let number = number % DASHES.len();
    let dashes = DASHES.get(number).copied().unwrap_or("none");
    let class = format!("class=\"line c{number}\" stroke-dasharray=\"{dashes}\"");
    let mut path = String::new();
    for ((size, figure), command) in line
        .points
        .iter()
        .zip(std::iter::once('M').chain(std::iter::repeat('L')))
    {
        path.extend([format!("{command}{:.1} {:.1}", x.place(*size), y.place(*figure))]);
    }
    svg.extend([format!("<path {class} d=\"{path}\"/>\n")]);
    for (size, figure) in &line.points {
        svg.extend([format!(
            "<circle class=\"line c{number}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>\n",
            x.place(*size),
            y.place(*figure)
        )]);
    }
    let place = TOP + HEIGHT + 50.0 + LEGEND_LINE * f64::from(u8::try_from(number).unwrap_or_default());
    svg.extend([format!(
        "<path {class} d=\"M{LEFT} {:.1}L{:.1} {:.1}\"/>\n",
        place - 4.0,
        LEFT + 32.0,
        place - 4.0
    )]);
    text(svg, (LEFT + 40.0, place), "start", &line.name);
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let words = escaped(words);
    // Writing to a string cannot fail.
    writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
    )
    .unwrap_or_default();
}

fn escaped(words: &str) -> String {
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A number with its thousands apart, and no more digits after the point than it needs.
pub(super) fn amount(figure: f64) -> String {
    let text = format!("{figure:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (digit, left) in whole.chars().zip((0..whole.chars().count()).rev()) {
        grouped.push(digit);
        if left > 0 && left % 3 == 0 {
            grouped.push(',');
        }
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number_that_is_not_below_the_most() {
        let end = |most: f64| Upwards::to(most).step * f64::from(Upwards::to(most).steps);
        for (most, expected) in [(0.93, 1.0), (4.0, 4.0), (7.2, 8.0), (101.0, 150.0), (0.031, 0.04)] {
            assert!((end(most) - expected).abs() < 1e-9, "{most}: {}", end(most));
        }
    }

    #[test]
    fn numbers_are_written_as_people_do() {
        let written = [0.0, 0.25, 16.0, 1000.0, 10_000_000.0].map(amount);
        assert_eq!(written, ["0", "0.25", "16", "1,000", "10,000,000"]);
    }

    #[test]
    fn a_plot_has_its_axes_its_units_and_a_line_for_each_series() {
        let line = |name: &str| Line {
            name: name.to_owned(),
            points: vec![(0.0, 1.0), (1000.0, 2.0)],
        };
        let plot = Plot {
            title: "Time & size",
            x_axis: "files",
            y_axis: "seconds",
            lines: vec![line("one"), line("two <3")],
        };
        let svg = plot.svg();
        for part in [
            "Time &amp; size",
            ">files<",
            ">seconds<",
            ">1,000<",
            "two &lt;3",
            "c1",
            "dark",
        ] {
            assert!(svg.contains(part), "{part}\n{svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
