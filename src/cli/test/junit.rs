//! Results as JUnit XML: the elements and attributes that promtool writes, and the times.

use std::fmt::Write as _;

use super::FileResult;
use crate::model::Timestamp;

pub(super) fn document(results: &[FileResult], at: Timestamp) -> String {
    let at = at.rfc3339();
    // Seconds are as fine as the format's readers expect, and the zone is left out.
    let at = at.get(..19).unwrap_or(&at);
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for result in results {
        suite(&mut out, result, at);
    }
    out.push_str("</testsuites>\n");
    out
}

fn suite(out: &mut String, result: &FileResult, at: &str) {
    let errors = usize::from(!result.mistakes.is_empty());
    let _infallible = writeln!(
        out,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{errors}\" skipped=\"0\" \
         time=\"{:.6}\" timestamp=\"{at}\">",
        escaped(&result.path),
        result.tests.len() + errors,
        result.failed(),
        result.took().as_secs_f64(),
    );
    if errors > 0 {
        let text = escaped(&result.mistakes.join("\n"));
        let name = escaped(&result.path);
        let _infallible = writeln!(
            out,
            "    <testcase name=\"{name}\">\n      <error>{text}</error>\n    </testcase>"
        );
    }
    for test in &result.tests {
        let (name, took) = (escaped(&test.name), test.took.as_secs_f64());
        let _infallible = write!(out, "    <testcase name=\"{name}\" time=\"{took:.6}\">");
        for failure in &test.report.failures {
            let message = escaped(&failure.headline());
            let text = escaped(&failure.to_string());
            let _infallible =
                write!(out, "\n      <failure message=\"{message}\">{text}</failure>");
        }
        out.push_str(if test.report.failures.is_empty() { "" } else { "\n    " });
        out.push_str("</testcase>\n");
    }
    out.push_str("  </testsuite>\n");
}

/// Text and attributes; what XML can't hold at all becomes the sign for that.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push_str("&#xA;"),
            '\t' => out.push_str("&#x9;"),
            '\r' => out.push_str("&#xD;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            plain => out.push(plain),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // XML 1.0, sections 2.2 and 2.4.
    #[test]
    fn every_text_can_stand_in_the_document() {
        assert_eq!(
            escaped("a<b & \"c\" 'd'\n\u{1}é"),
            "a&lt;b &amp; &#34;c&#34; &#39;d&#39;&#xA;\u{fffd}é"
        );
    }
}
