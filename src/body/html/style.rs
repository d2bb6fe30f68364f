// SPDX-License-Identifier: GPL-2.0-or-later
//! The properties of a `style` that may stay (XEP-0071 §7.6.1).

const PROPERTIES: [&str; 10] = [
    "background-color",
    "color",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "margin-left",
    "margin-right",
    "text-align",
    "text-decoration",
];

/// The longest value of a property.
const MAX_VALUE: usize = 100;

/// The recommended properties with values that only say how text looks: words, numbers and colours. Functions
/// other than `rgb()`, escapes and comments have no place in them.
pub(super) fn filter(style: &str) -> String {
    let mut out = String::new();
    for declaration in style.split(';') {
        let Some((property, value)) = declaration.split_once(':') else {
            continue;
        };
        let (property, value) = (property.trim(), value.trim());
        let known = PROPERTIES.iter().find(|p| p.eq_ignore_ascii_case(property));
        if let Some(property) = known
            && is_harmless(value)
        {
            if !out.is_empty() {
                out.push_str("; ");
            }
            out.push_str(property);
            out.push_str(": ");
            out.push_str(&value.replace('"', "'"));
        }
    }
    out
}

fn is_harmless(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let inner = ["rgb(", "rgba("]
        .iter()
        .find_map(|function| lower.strip_prefix(function)?.strip_suffix(')'));
    let text = inner.unwrap_or(&lower);
    let paired = |quote| text.matches(quote).count() % 2 == 0;
    !text.is_empty()
        && text.len() <= MAX_VALUE
        && paired('"')
        && paired('\'')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b" #%+,-.\"'".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_properties_stay() {
        for (style, expected) in [
            ("color:red", "color: red"),
            ("COLOR : #F00 ; ", "color: #F00"),
            ("color: rgb(1, 2, 3)", "color: rgb(1, 2, 3)"),
            (
                "background-color: rgba(1,2,3,.5)",
                "background-color: rgba(1,2,3,.5)",
            ),
            (
                "font-family: \"Segoe UI\", 'x', serif",
                "font-family: 'Segoe UI', 'x', serif",
            ),
            (
                "font-size:80%;position:fixed;margin-left:-1.5em",
                "font-size: 80%; margin-left: -1.5em",
            ),
            ("background: url(http://a)", ""),
            ("background-color: url(http://a)", ""),
            ("color: expression(alert(1))", ""),
            ("color: rgb(url(a))", ""),
            ("color: \\75rl", ""),
            ("color: red/**/", ""),
            ("color: red !important", ""),
            ("font-family: 'a", ""),
            ("color", ""),
            ("color:", ""),
            ("", ""),
            ("behavior:url(a);;color:red", "color: red"),
            ("color: ré", ""),
        ] {
            assert_eq!(filter(style), expected, "{style}");
        }
        assert_eq!(filter(&format!("color: {}", "a".repeat(MAX_VALUE + 1))), "");
    }
}
