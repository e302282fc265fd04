//! Patterns with `*` (any run of characters) and `?` (one character).

/// Does the whole text match? Both slashes are one; `fold` makes ASCII letters alike in both cases.
///
/// One star is remembered at a time, so the work is at most pattern × text, with both bounded by the parser.
pub(super) fn matches(pattern: &str, text: &str, fold: bool) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || same(c, text[t], fold) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star_p, star_t)) = star else { return false };
                star = Some((star_p, star_t + 1));
                p = star_p + 1;
                t = star_t + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// The pattern has a `*` or a `?`.
pub(super) fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// Two texts are the same name.
pub(super) fn equal(a: &str, b: &str, fold: bool) -> bool {
    if fold { a.eq_ignore_ascii_case(b) } else { a == b }
}

fn same(a: u8, b: u8, fold: bool) -> bool {
    let slash = |c: u8| if c == b'\\' { b'/' } else { c };
    let (a, b) = (slash(a), slash(b));
    a == b || (fold && a.eq_ignore_ascii_case(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_takes_any_run_and_a_question_mark_one_character() {
        assert!(matches("aa_v*.exe", "AA_v3.exe", true));
        assert!(!matches("aa_v*.exe", "AA_v3.exe", false));
        assert!(matches("*/foo/*", "C:\\Foo\\bar\\baz.exe", true));
        assert!(matches("a*b*c", "a__b__b__c", false));
        assert!(!matches("a*b*c", "a__c__b", false));
        assert!(matches("?:/x", "C:/x", false));
        assert!(matches("***", "", false));
        assert!(!matches("", "x", false));
    }
}
