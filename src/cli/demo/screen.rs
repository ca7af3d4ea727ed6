//! The terminal: sentences that stay, and below them a table that is drawn over again and again.

use super::tally::Row;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Characters of a full bar.
const BAR: usize = 30;
/// Eighths of a character cell, from none to seven.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// What the table shows.
pub(super) struct Picture {
    pub(super) rows: Vec<Row>,
    /// Names of replicas that were killed and have not answered since.
    pub(super) down: Vec<String>,
    pub(super) rate: u64,
    pub(super) answered: u64,
    pub(super) lost: u64,
    /// Median and 99th percentile.
    pub(super) latencies: Option<(Duration, Duration)>,
    pub(super) url: String,
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) color: bool,
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.paint("1;32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(super) fn accent(self, text: &str) -> String {
        self.paint("36", text)
    }
}

/// The table, line by line. Every line is under 80 characters wide, so that none wraps in a usual terminal.
pub(super) fn table(picture: &Picture, style: Style) -> Vec<String> {
    let header = format!("  {:<9}{:>8}   {:<38}{:>10}", "replica", "pid", "share of the last 3 s", "answered");
    let mut lines = vec![String::new(), style.dim(&header)];
    for row in &picture.rows {
        let down = picture.down.contains(&row.name);
        let pid = if down { style.bad("  killed") } else { format!("{:>8}", row.pid) };
        let bar = style.accent(&bar(row.share));
        let share = format!("{:.1} %", row.share * 100.0);
        lines.push(format!("  {:<9}{pid}   {bar}{share:>8}{:>10}", row.name, thousands(row.answered)));
    }
    let lost = format!("{} lost", thousands(picture.lost));
    let lost = if picture.lost == 0 { style.good(&lost) } else { style.bad(&lost) };
    let mut totals = format!("  {} requests/s   {} answered   {lost}", picture.rate, thousands(picture.answered));
    if let Some((median, high)) = picture.latencies {
        totals.push_str(&style.dim(&format!("   median {}, 99 % within {}", short(median), short(high))));
    }
    let url = style.bold(&picture.url);
    lines.extend([String::new(), totals, format!("  open {url}{}", style.dim("   Ctrl-C ends the demo"))]);
    lines
}

/// The same in one line, where nothing can be drawn over.
pub(super) fn line(picture: &Picture) -> String {
    let shares: Vec<_> = picture.rows.iter().map(|row| format!("{} {:.1} %", row.name, row.share * 100.0)).collect();
    let (answered, lost) = (thousands(picture.answered), thousands(picture.lost));
    format!("{answered} answered, {lost} lost; {}", shares.join(", "))
}

fn bar(share: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 240, after the clamp")]
    let eighths = (share.clamp(0.0, 1.0) * (BAR * 8) as f64).round() as usize;
    let drawn = "█".repeat(eighths / 8) + EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    let width = drawn.chars().count();
    drawn + &" ".repeat(BAR.saturating_sub(width))
}

/// `1,234,567`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `0.8 ms`, `61 ms`, `1.2 s`.
pub(super) fn short(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1_000.0;
    match ms {
        ..10.0 => format!("{ms:.1} ms"),
        ..1_000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1_000.0),
    }
}

/// Standard output, and how many lines of it are drawn over next.
pub(super) struct Screen {
    /// Whether the table can be drawn over.
    pub(super) live: bool,
    pub(super) style: Style,
    drawn: usize,
}

impl Screen {
    pub(super) fn new(quiet: bool) -> Self {
        let terminal = std::io::stdout().is_terminal() && std::env::var("TERM").as_deref() != Ok("dumb");
        let color = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { live: terminal && !quiet, style: Style { color }, drawn: 0 }
    }

    /// Lines that stay, above the table.
    pub(super) fn say(&mut self, text: &str) {
        let erase = self.take_back();
        write(&format!("{erase}{text}\n"));
    }

    /// Draws the table, over the one before.
    pub(super) fn draw(&mut self, lines: &[String]) {
        let erase = self.take_back();
        self.drawn = lines.len();
        // The cursor is hidden while it would jump about.
        write(&format!("\x1b[?25l{erase}{}\n", lines.join("\n")));
    }

    fn take_back(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            lines => format!("\r\x1b[{lines}A\x1b[0J"),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.live {
            write("\x1b[?25h");
        }
    }
}

/// A reader that went away (`plimsoll demo | head`) is no reason to stop the demo.
fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        let row = |name: &str, pid, answered, share| Row { name: name.to_owned(), pid, answered, share };
        Picture {
            rows: vec![
                row("web.1", 4_194_304, 1_234_567, 1.0),
                row("web.2", 812, 9, 0.0),
                row("web.3", 7, 0, 1.0 / 3.0),
            ],
            down: vec!["web.2".to_owned()],
            rate: 200,
            answered: 12_345_678,
            lost: 0,
            latencies: Some((Duration::from_micros(812), Duration::from_millis(61))),
            url: "http://127.0.0.1:8000/".to_owned(),
        }
    }

    #[test]
    fn the_table_lines_up_and_never_wraps() {
        let lines = table(&picture(), Style { color: false });
        assert_eq!(
            lines,
            [
                "",
                "  replica       pid   share of the last 3 s                   answered",
                "  web.1     4194304   ██████████████████████████████ 100.0 % 1,234,567",
                "  web.2      killed                                    0.0 %         9",
                "  web.3           7   ██████████                      33.3 %         0",
                "",
                "  200 requests/s   12,345,678 answered   0 lost   median 0.8 ms, 99 % within 61 ms",
                "  open http://127.0.0.1:8000/   Ctrl-C ends the demo",
            ]
        );
        assert!(lines.iter().all(|line| line.chars().count() <= 82));
    }

    #[test]
    fn without_colours_there_is_no_escape() {
        assert!(table(&picture(), Style { color: true }).concat().contains('\x1b'));
        assert!(!table(&picture(), Style { color: false }).concat().contains('\x1b'));
        assert_eq!(line(&picture()), "12,345,678 answered, 0 lost; web.1 100.0 %, web.2 0.0 %, web.3 33.3 %");
    }

    #[test]
    fn numbers_are_short() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), expected);
        }
        for (us, expected) in [(90, "0.1 ms"), (9_949, "9.9 ms"), (61_200, "61 ms"), (1_240_000, "1.2 s")] {
            assert_eq!(short(Duration::from_micros(us)), expected);
        }
    }
}
