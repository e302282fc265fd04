//! Keyboards and languages from the registry of people.

use super::each_once;

/// What one person's part of the registry says.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// `Keyboard Layout\\Preload`: numbers of keyboards, in their order.
    pub(super) keyboards: Vec<String>,
    /// `Control Panel\\International`, `LocaleName`.
    pub(super) language: Option<String>,
}

/// Keyboard layouts and languages of all people. `name_of` is Windows': `de-DE` for the number of a language.
pub(super) fn words(all: &[Settings], name_of: impl Fn(u32) -> Option<String>) -> [Vec<String>; 2] {
    let numbers = all.iter().flat_map(|person| &person.keyboards);
    let layouts = numbers.filter_map(|number| country(&name_of(language(number)?)?));
    let languages = all.iter().filter_map(|person| person.language.as_ref());
    [each_once(layouts), each_once(languages.map(|name| name.replace('-', "_")))]
}

/// `00000407` is the German keyboard: the last four digits are a language, …
fn language(keyboard: &str) -> Option<u32> {
    let hex = keyboard.len() == 8 && keyboard.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| u32::from_str_radix(&keyboard[4..], 16).ok()).flatten()
}

/// … whose country is what Linux calls it by.
fn country(name: &str) -> Option<String> {
    name.rsplit('-').next().filter(|country| !country.is_empty()).map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MOST;
    use super::*;

    /// As `LCIDToLocaleName` answers.
    fn windows(language: u32) -> Option<String> {
        let names = [(0x0407, "de-DE"), (0x0409, "en-US"), (0x0412, "ko-KR"), (0x007f, "")];
        names.iter().find(|(number, _)| *number == language).map(|(_, name)| (*name).to_owned())
    }

    fn of(keyboards: &[&str], language: &str) -> Settings {
        let keyboards = keyboards.iter().map(|number| (*number).to_owned()).collect();
        Settings { keyboards, language: Some(language.into()) }
    }

    #[test]
    fn keyboards_of_two_people_are_named_once() {
        // Dvorak is the US keyboard's language; substitutes have numbers from d0000000 on.
        let people =
            [of(&["00000407", "00010409"], "de-DE"), of(&["d0010409", "00000407", "00000412"], "de-DE")];
        let [layouts, languages] = words(&people, windows);
        assert_eq!(layouts, ["de", "us", "kr"]);
        assert_eq!(languages, ["de_DE"]);
    }

    #[test]
    fn a_number_that_is_none_names_no_keyboard() {
        for number in ["", "407", "0000+407", "0000 407", "00000407 ", "000004077", "€€0407", "0000007f"]
        {
            assert_eq!(words(&[of(&[number], "")], windows), [vec![], vec![] as Vec<String>], "{number}");
        }
    }

    proptest! {
        #[test]
        fn values_of_any_kind_give_few_short_plain_words(
            keyboards in prop::collection::vec("[0-9a-f]{8}|[0-9+€]{0,9}|\\PC{0,12}", 0..60), language in "\\PC{0,80}|[a-z-]{0,20}",
            name in prop::option::of("[A-Za-z]{0,3}(-[A-Za-z€]{0,3}){0,3}"),
        ) {
            let people: Vec<Settings> =
                (0..40).map(|_| Settings { keyboards: keyboards.clone(), language: Some(language.clone()) }).collect();
            for list in words(&people, |_| name.clone()) {
                prop_assert!(list.len() <= MOST && list.iter().all(|word| word.len() <= 48 && word.is_ascii()));
            }
        }
    }
}
