//! The plot of a group, with a panel for each plotted figure and a bar for each side.

use std::path::Path;

use local_stack::{Error, Result};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::format::value;
use crate::groups::{Group, THIS};
use crate::series::{Series, Unit};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 860;
/// The height of a bar with the space around it.
const BAR: u32 = 24;
/// The height of a panel without its bars: its title and its axis.
const FRAME: u32 = 66;
/// The width of the sides' names.
const NAMES: u32 = 200;
/// The ratio of the largest to the smallest median from which the axis is logarithmic.
const WIDE: f64 = 15.0;

const OURS: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const OTHERS: RGBColor = RGBColor(0xb8, 0xb8, 0xb8);
const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const LINES: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);

/// One panel.
struct Panel<'a> {
    title: String,
    bars: Vec<Bar<'a>>,
}

/// One bar: its label, and its series.
struct Bar<'a> {
    name: &'a str,
    series: &'a Series,
}

/// Draws a group's plot into a file. Returns `false` when none of the group's plotted figures was
/// measured.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(group: &Group, series: &[Series], path: &Path) -> Result<bool> {
    let panels = panels(group, series);
    if panels.is_empty() {
        return Ok(false);
    }
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(format!("cannot draw {}: {error}", path.display()))
    };
    let height = panels.iter().map(Panel::height).sum();
    let mut rest = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    rest.fill(&WHITE).map_err(|error| failed(&error))?;
    for panel in &panels {
        let (area, below) = rest.split_vertically(panel.height());
        panel.draw(&area).map_err(|error| failed(&error))?;
        rest = below;
    }
    rest.present().map_err(|error| failed(&error))?;
    Ok(true)
}

/// The panels of a group: for each plotted figure one with the sides that have it, and one with
/// this service's functions if several have it.
fn panels<'a>(group: &Group, series: &'a [Series]) -> Vec<Panel<'a>> {
    let mut panels = Vec::new();
    for what in group.drawn {
        let of_what: Vec<&Series> = series
            .iter()
            .filter(|series| series.what == *what)
            .collect();
        let mut subjects: Vec<&str> = Vec::new();
        for series in &of_what {
            if !subjects.contains(&series.subject.as_str()) {
                subjects.push(&series.subject);
            }
        }
        for subject in &subjects {
            let sides = of_what.iter().filter(|series| series.subject == *subject);
            let bar = |series: &&'a Series| Bar {
                name: &series.side,
                series,
            };
            let mut bars: Vec<Bar> = sides.map(bar).collect();
            bars.sort_by_key(|bar| bar.series.side != THIS);
            if bars.len() > 1 {
                let title = match *subject {
                    "" => (*what).to_owned(),
                    subject => format!("{subject}: {what}"),
                };
                panels.push(Panel { title, bars });
            }
        }
        let own = of_what.iter().filter(|series| series.side == THIS);
        let bar = |series: &&'a Series| Bar {
            name: &series.subject,
            series,
        };
        let bars: Vec<Bar> = own.map(bar).collect();
        if subjects.len() > 1 {
            let title = format!("{THIS}: {what}");
            panels.push(Panel { title, bars });
        }
    }
    panels
}

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

impl Panel<'_> {
    fn height(&self) -> u32 {
        FRAME + BAR * u32::try_from(self.bars.len()).unwrap_or(1)
    }

    fn draw(&self, area: &Area) -> Drawn {
        let medians = || self.bars.iter().map(|bar| bar.series.median());
        let ends = self.bars.iter().map(|bar| bar.series.spread());
        let highest = ends.clone().map(|(_, high)| high).fold(0.0, f64::max);
        let lowest = ends.map(|(low, _)| low).fold(f64::INFINITY, f64::min);
        if lowest > 0.0 && medians().fold(0.0, f64::max) > WIDE * lowest {
            // The shortest bar has a visible length.
            self.draw_on(
                area,
                ((lowest / 2.5)..(highest * 4.0)).log_scale(),
                lowest / 2.5,
            )
        } else {
            self.draw_on(area, 0.0..(highest * 1.2).max(f64::MIN_POSITIVE), 0.0)
        }
    }

    /// Draws on an axis that starts at `zero`.
    // One call of the chart library after the other.
    fn draw_on<R>(&self, area: &Area, axis: R, zero: f64) -> Drawn
    where
        R: AsRangedCoord<Value = f64>,
        R::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let unit = self.bars.first().map_or(Unit::Count, |bar| bar.series.unit);
        let count = self.bars.len() as f64;
        let mut chart = ChartBuilder::on(area)
            .margin(4)
            .margin_right(16)
            .caption(
                self.caption(unit, zero > 0.0),
                ("sans-serif", 15, FontStyle::Bold, &INK),
            )
            .x_label_area_size(24)
            .y_label_area_size(NAMES)
            .build_cartesian_2d(axis, 0.0..count)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .y_labels(0)
            .x_labels(8)
            .x_label_formatter(&|at| match *at {
                0.0 => "0".to_owned(),
                at => value(unit, at),
            })
            .x_label_style(("sans-serif", 11, &INK))
            .bold_line_style(LINES)
            .light_line_style(TRANSPARENT)
            .axis_style(LINES)
            .draw()?;
        for (place, bar) in self.bars.iter().enumerate() {
            // The first bar is at the top.
            let top = count - place as f64;
            let (low, high) = bar.series.spread();
            let median = bar.series.median();
            // A function's name has backticks where it is a side.
            let side = &bar.series.side;
            let is_ours = side.starts_with(THIS) || side.starts_with('`');
            let color = if is_ours { OURS } else { OTHERS };
            let shape = [(zero, top - 0.85), (median, top - 0.15)];
            chart.draw_series([Rectangle::new(shape, color.filled())])?;
            let middle = top - 0.5;
            let spread = vec![(low.max(zero), middle), (high, middle)];
            chart.draw_series([PathElement::new(spread, INK.stroke_width(2))])?;
            // Names and values are placed next to their bars, in pixels of the panel.
            let pixel = |at: f64| {
                let (x, y) = chart.backend_coord(&(at, middle));
                let (left, top) = area.get_base_pixel();
                (x - left, y - top)
            };
            let style = ("sans-serif", 12, &INK).into_text_style(area);
            let (x, y) = pixel(high.max(median));
            let after = style.clone().pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(value(unit, median), (x + 7, y), after))?;
            let (x, y) = pixel(zero);
            let before = style.pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new(bar.name.replace('`', ""), (x - 7, y), before))?;
        }
        Ok(())
    }

    fn caption(&self, unit: Unit, is_log: bool) -> String {
        let title = self.title.replace('`', "");
        let of = match unit {
            Unit::CpuPerThousand => ", seconds for 1,000",
            _ => "",
        };
        let axis = if is_log { " (logarithmic)" } else { "" };
        format!("{title}{of}{axis}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Group {
        Group {
            name: "g",
            title: "G",
            about: "",
            drawn: &["w"],
            run: |_| Ok(Vec::new()),
        }
    }

    fn series(subject: &str, side: &str, samples: &[f64]) -> Series {
        let mut series = Series::new("g", "w", side, Unit::Seconds).of(subject);
        series.samples = samples.to_vec();
        series
    }

    #[test]
    fn each_side_and_each_function_has_a_bar() {
        let all = [
            series("root", "Other & more", &[0.4, 0.5]),
            series("root", THIS, &[0.001, 0.002]),
            series("worker", THIS, &[0.003]),
        ];
        let shown = panels(&group(), &all);
        let titles: Vec<&str> = shown.iter().map(|panel| panel.title.as_str()).collect();
        assert_eq!(titles, ["root: w", "this service: w"]);
        assert_eq!(shown[0].bars[0].name, THIS);
        assert_eq!(shown[1].bars[1].name, "worker");

        let path = std::env::temp_dir().join(format!("bench-chart-{}.svg", std::process::id()));
        assert!(draw(&group(), &all, &path).unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("Other &amp; more") && text.contains("450 ms"));
        assert!(!draw(&group(), &[], &path).unwrap());
        let _ = std::fs::remove_file(&path);
    }
}
