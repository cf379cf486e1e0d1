//! Rows by SQL of ours: filtered, ordered, in pages.

use super::super::parameters::Parameters;
use super::super::problem::Problem;
use super::super::question::{Paging, Question, Sql, SqlArguments};
use super::super::rows::Written;
use super::filter::conditions;
use super::order::{Order, Place};
use crate::store::{Relation, Words};
use rusqlite::types::Value as Cell;

/// Rows that are asked for.
pub struct Listing<'a> {
    /// What they are rows of.
    pub relation: &'a Relation,
    /// In whose words what they are read from is.
    pub words: Words,
    /// What they are read from: what may stand behind `FROM`, under the relation's name.
    pub from: String,
    /// What stands in place of the parameters of that.
    pub arguments: Vec<Cell>,
    /// The columns that are shown, as they stand in SQL, and what each is written as.
    pub shown: Vec<(String, Written)>,
    /// Its address.
    pub path: String,
    /// Rows that a page may have.
    pub rows: usize,
    /// What the address of the following page says besides.
    pub said: Vec<(String, String)>,
}

impl Listing<'_> {
    /// The question, by what else stands in the URL.
    ///
    /// # Errors
    /// A parameter is not as it should be.
    pub fn question(self, mut parameters: Parameters) -> Result<Question, Problem> {
        let limit = parameters.take_limit(self.rows)?;
        let counts = parameters.take_as::<bool>("count", "true or false")?.unwrap_or(false);
        let place = Place::take(&mut parameters)?;
        let order = parameters.take("order")?;
        let filters = parameters.take_rest();
        let order_by = Order::of(self.relation, order.as_deref().unwrap_or_default())?;

        let Self { from, mut arguments, .. } = self;
        let (mut wanted, compared) = conditions(self.relation, &filters)?;
        arguments.extend(compared);
        let count = counts.then(|| (format!("SELECT count(*) FROM {from}{}", where_all(&wanted)), arguments.len()));
        let offset = match place {
            Place::Start => 0,
            Place::Offset(offset) => offset,
            Place::Behind(cursor) => {
                let (behind, cells) = order_by.behind(&cursor)?;
                wanted.push(behind);
                arguments.extend(cells);
                0
            }
        };
        // What the following page begins behind goes along, and is not shown.
        let hidden = order_by.cursor_columns();
        let (shown, written): (Vec<String>, Vec<Written>) = self.shown.into_iter().unzip();
        let columns: Vec<&str> = shown.iter().chain(&hidden).map(String::as_str).collect();
        let mut text =
            format!("SELECT {} FROM {from}{}{} LIMIT ?", columns.join(", "), where_all(&wanted), order_by.sql());
        arguments.push(Cell::Integer(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)));
        if offset > 0 {
            text.push_str(" OFFSET ?");
            arguments.push(Cell::Integer(i64::try_from(offset).unwrap_or(i64::MAX)));
        }

        let said = [("limit", Some(limit.to_string())), ("count", counts.then(|| "true".to_owned())), ("order", order)];
        let said = said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let paging = Paging {
            limit,
            hidden: hidden.len(),
            path: self.path,
            parameters: self.said.into_iter().chain(said).chain(filters).collect(),
            place: Box::new(move |last| match order_by.cursor(last) {
                Some(cursor) => ("after", cursor),
                None => ("offset", offset.saturating_add(limit as u64).to_string()),
            }),
        };
        let arguments = SqlArguments::Placed(arguments);
        Ok(Question::Sql(Sql { words: self.words, written, paging: Some(paging), count, ..Sql::new(text, arguments) }))
    }
}

fn where_all(conditions: &[String]) -> String {
    if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
}
