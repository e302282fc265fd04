//! What is around every page.

use maud::{DOCTYPE, Markup, html};

use super::session::Person;

/// A page with the navigation, for a person with a session.
pub fn page(person: &Person, here: &str, title: &str, body: &Markup) -> Markup {
    let link = |path: &str, label: &str| {
        let current = (path == here).then_some("page");
        html! { a href=(path) aria-current=[current] { (label) } }
    };
    document(
        title,
        &html! {
            a.skip href="#main" { "Skip to content" }
            header.top {
                a.brand href="/alerts" { "Farmwatch" }
                nav aria-label="Main" {
                    (link("/alerts", "Alerts"))
                    (link("/sites", "Sites"))
                    (link("/devices", "Devices"))
                }
                form.out method="post" action="/logout" {
                    (token(person))
                    span.who { (person.name) }
                    button.quiet type="submit" { "Log out" }
                }
            }
            main id="main" tabindex="-1" {
                (body)
            }
            div.news role="status" aria-live="polite" hidden {}
        },
    )
}

/// A page without navigation: log-in, errors.
pub fn bare(title: &str, body: &Markup) -> Markup {
    document(
        title,
        &html! {
            main.bare id="main" {
                p.brand { "Farmwatch" }
                h1 { (title) }
                (body)
            }
        },
    )
}

/// The hidden field with the session's token.
pub fn token(person: &Person) -> Markup {
    html! { input type="hidden" name="csrf" value=(person.csrf); }
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Farmwatch" }
                link rel="icon" type="image/svg+xml" href="/icon.svg";
                link rel="stylesheet" href="/style.css";
                script src="/console.js" defer {}
            }
            body { (body) }
        }
    }
}
