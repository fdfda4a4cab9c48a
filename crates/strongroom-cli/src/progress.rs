//! How far long work has come, on the terminal of whoever waits for it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::report::{Screen, printable};

/// How often the spinner turns: often enough to live, seldom enough for a slow connection.
const TURN: Duration = Duration::from_millis(100);

const TURNS: &str = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏✓";
const TURNS_ASCII: &str = "|/-\\+";

/// Work that takes a while: a bar with count, rate and the time left where its size is known, else a
/// spinner. Nothing of it is left on the screen when it is dropped.
///
/// It is drawn on standard error, if that is a terminal whose `TERM` can move its cursor; never with
/// `--quiet` or `--format json`. What else is to be printed meanwhile goes through [`above`](Self::above).
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins to show work of so many steps, or of an unknown number.
    pub(crate) fn start(screen: &Screen, what: &str, total: Option<u64>) -> Self {
        if !screen.shows_progress() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10));
        bar.set_style(style(screen, total.is_some()));
        bar.set_message(printable(what).replace('\n', " "));
        // The first turn is drawn here, so that it is also seen of work that is short.
        bar.tick();
        bar.enable_steady_tick(TURN);
        Self(bar)
    }

    /// Counts steps that are done.
    pub(crate) fn advance(&self, by: u64) {
        self.0.inc(by);
    }

    /// Prints something that stays, above what is drawn here.
    pub(crate) fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(screen: &Screen, sized: bool) -> ProgressStyle {
    // Colours are the screen's to decide, so they are written out.
    let (color, plain) = match screen.colors_stderr() {
        true => ("\u{1b}[36m", "\u{1b}[0m"),
        false => ("", ""),
    };
    let template = match sized {
        true => format!(
            "{color}{{spinner}}{plain} {{msg}} {{human_pos}}/{{human_len}} {color}{{wide_bar}}{plain} {{per_sec}}, {{eta}} left"
        ),
        false => format!("{color}{{spinner}}{plain} {{wide_msg}} {{count}}{{elapsed}}"),
    };
    // Without the style, what the crate shows by itself would do.
    let style = ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key(
            "count",
            |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                if state.pos() > 0 {
                    let _ = write!(out, "{}, {:.0}/s, ", state.pos(), state.per_sec());
                }
            },
        );
    match screen.is_unicode() {
        true => style.tick_chars(TURNS).progress_chars("━━─"),
        false => style.tick_chars(TURNS_ASCII).progress_chars("##-"),
    }
}
