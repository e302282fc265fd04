//! Why the database cannot be opened, and what to do: for a person who has just written its address down.

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::error::SqlState;

use super::connect::Server;
use super::fault::{Fault, words};

/// What a person is told.
pub fn explain(server: &Server, error: PoolError) -> Fault {
    let (name, user) = (server.name(), server.config.get_user().unwrap_or("(the system's user)"));
    let database = server.config.get_dbname().unwrap_or(user);
    let error = match error {
        PoolError::Backend(error) => error,
        PoolError::Timeout(TimeoutType::Create) => {
            let why = format!(
                "{name} does not answer; is the host right, and does a firewall let this machine through?"
            );
            return Fault::unavailable(why);
        }
        other => return other.into(),
    };
    let why = words(&error);
    let told = match error.code() {
        Some(code) if *code == SqlState::INVALID_PASSWORD => format!(
            "{name} does not take the password of {user}; it comes from `password_file` of [store], or from the \
             environment as FARMWATCH_STORE__PASSWORD_FILE"
        ),
        Some(code) if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            format!("{name} does not let {user} in from here: {why}; see pg_hba.conf there")
        }
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => format!(
            "there is no database {database} on {name}; create it: CREATE DATABASE {database} OWNER {user} ENCODING \
             'UTF8' TEMPLATE template0"
        ),
        Some(_) => format!("{name}: {why}"),
        None if why.contains("password missing") => format!(
            "{name} asks for a password of {user}, and none is given; write it to a file and name that as \
             `password_file` of [store], or as FARMWATCH_STORE__PASSWORD_FILE in the environment"
        ),
        None if why.contains("does not support TLS") => format!(
            "{name} speaks no TLS; turn it on there (ssl = on), or, only where nobody else is on the way, add \
             ?sslmode=disable to [store] url"
        ),
        None if why.contains("certificate") => format!(
            "{name} cannot prove who it is: {why}; name the authority's PEM file as `ca` of [store], and the host in \
             [store] url as the certificate names it"
        ),
        None => format!("{name} cannot be reached: {why}; is PostgreSQL running there?"),
    };
    Fault::unavailable(told)
}
