//! What an author wrote, with the mistakes named.

use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Expr, ExprLit, Fields, Ident, Lit, LitStr, Path, Result, Token, Type, UnOp};

/// A struct as the definition of a table.
pub struct Table {
    pub row: Ident,
    pub name: String,
    pub columns: Vec<Column>,
    /// The columns of each index.
    pub indexes: Vec<Vec<String>>,
}

pub struct Column {
    pub field: Ident,
    pub name: String,
    pub of_type: Type,
    pub is_key: bool,
    pub default: Option<Default>,
}

/// What a column holds where a row is made from its key alone.
pub enum Default {
    /// That of its type.
    OfType,
    /// A literal, which may be negative.
    Literal(Expr),
    /// NULL.
    Null,
}

/// What is wrong with a definition that can be understood all the same: each is told once, and nothing follows from it.
#[derive(Default)]
pub struct Mistakes(Option<Error>);

impl Mistakes {
    fn note(&mut self, mistake: Error) {
        match &mut self.0 {
            Some(known) => known.combine(mistake),
            None => self.0 = Some(mistake),
        }
    }

    fn check(&mut self, outcome: Result<()>) {
        outcome.unwrap_or_else(|mistake| self.note(mistake));
    }

    /// All of them.
    pub fn into_error(self) -> Option<Error> {
        self.0
    }
}

impl Table {
    /// Reads a definition, with its mistakes.
    ///
    /// # Errors
    /// It is no definition of a table at all.
    pub fn parse(input: DeriveInput) -> Result<(Self, Mistakes)> {
        let mistake = |what: &str| Error::new(input.ident.span(), what);
        let fields = match input.data {
            Data::Struct(data) => data.fields,
            Data::Enum(_) => return Err(mistake("a row is a struct with named fields, not an enum")),
            Data::Union(_) => return Err(mistake("a row is a struct with named fields, not a union")),
        };
        let Fields::Named(fields) = fields else {
            return Err(mistake("a row is a struct with named fields"));
        };
        if !input.generics.params.is_empty() {
            let what = "a row has no type parameters and no lifetimes: it outlives the event, so its fields are owned";
            return Err(Error::new(input.generics.span(), what));
        }
        let mut mistakes = Mistakes::default();
        let parse = |field| Column::parse(field, &mut mistakes);
        let mut columns = fields.named.into_iter().map(parse).collect::<Result<Vec<_>>>()?;
        let (mut name, mut indexes) = (None, Vec::new());
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("row")) {
            let parsed = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("table") {
                    let literal: LitStr = meta.value()?.parse()?;
                    name = Some(literal.value());
                    return check_name(&literal.value(), literal.span());
                }
                if meta.path.is_ident("index") {
                    let content;
                    syn::parenthesized!(content in meta.input);
                    let names = Punctuated::<Ident, Token![,]>::parse_terminated(&content)?;
                    if names.is_empty() {
                        return Err(meta.error("name the columns of the index: `index(column, …)`"));
                    }
                    indexes.push(names);
                    return Ok(());
                }
                Err(unknown(&meta.path, "`table = \"…\"` or `index(column, …)`"))
            });
            mistakes.check(parsed);
        }
        let guessed = format!("{}s", snake(&input.ident.to_string()));
        let name = name.unwrap_or_else(|| {
            mistakes.note(mistake(&format!("say which table it is a row of: #[row(table = \"{guessed}\")]")));
            guessed
        });
        if !columns.iter().any(|column| column.is_key) {
            mistakes.note(mistake("say which field is the key: #[row(key)] before it; several make one key"));
            columns.iter_mut().take(1).for_each(|column| column.is_key = true);
        }
        for (index, column) in columns.iter().enumerate() {
            if let Some(twin) = columns[..index].iter().find(|other| other.name.eq_ignore_ascii_case(&column.name)) {
                let what = format!("SQLite takes `{}` and `{}` for the same column", column.name, twin.name);
                mistakes.note(Error::new(column.field.span(), what));
            }
        }
        let mut known = Vec::new();
        for names in indexes {
            match check_index(&name, &columns, &names) {
                Ok(names) => known.push(names),
                Err(mistake) => mistakes.note(mistake),
            }
        }
        Ok((Self { row: input.ident, name, columns, indexes: known }, mistakes))
    }

    pub fn keys(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.is_key)
    }
}

impl Column {
    fn parse(field: syn::Field, mistakes: &mut Mistakes) -> Result<Self> {
        let span = field.span();
        let Some(ident) = field.ident else {
            return Err(Error::new(span, "a row is a struct with named fields"));
        };
        let (mut is_key, mut default) = (false, None);
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("row")) {
            let parsed = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("key") {
                    is_key = true;
                    return Ok(());
                }
                if meta.path.is_ident("default") {
                    let is_said = meta.input.peek(Token![=]);
                    default = Some(if is_said { literal(meta.value()?.parse()?)? } else { Default::OfType });
                    return Ok(());
                }
                Err(unknown(&meta.path, "`key`, `default` or `default = …`"))
            });
            mistakes.check(parsed);
        }
        let name = ident.to_string();
        let name = name.strip_prefix("r#").unwrap_or(&name).to_owned();
        mistakes.check(check_name(&name, ident.span()));
        let is_option = is_option(&field.ty);
        if is_key && is_option {
            return Err(Error::new(field.ty.span(), "a key is always there, so it cannot be an `Option`"));
        }
        if is_key && default.is_some() {
            mistakes.note(Error::new(ident.span(), "a key has no default"));
        }
        if default.is_none() && is_option {
            default = Some(Default::Null);
        }
        Ok(Self { field: ident, name, of_type: field.ty, is_key, default })
    }
}

fn unknown(path: &Path, expected: &str) -> Error {
    Error::new(path.span(), format!("this says nothing about a row: write {expected}"))
}

fn literal(value: Expr) -> Result<Default> {
    let digits = match &value {
        Expr::Unary(negative) if matches!(negative.op, UnOp::Neg(_)) => &*negative.expr,
        other => other,
    };
    match digits {
        Expr::Lit(ExprLit { lit: Lit::Str(_) | Lit::Int(_) | Lit::Float(_) | Lit::Bool(_), .. }) => {
            Ok(Default::Literal(value))
        }
        _ => Err(Error::new(value.span(), "a default is a literal: a number, a text, `true` or `false`")),
    }
}

fn check_index(table: &str, columns: &[Column], names: &Punctuated<Ident, Token![,]>) -> Result<Vec<String>> {
    let find = |ident: &Ident| {
        let found = columns.iter().find(|column| *ident == column.field);
        found.map(|column| column.name.clone()).ok_or_else(|| {
            let all: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            Error::new(ident.span(), format!("`{table}` has no column `{ident}`; it has: {}", all.join(", ")))
        })
    };
    names.iter().map(find).collect()
}

/// Names stand in SQL and in the addresses of queries, so they are kept plain.
fn check_name(name: &str, span: proc_macro2::Span) -> Result<()> {
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("laterna_") || lower.starts_with("sqlite_") {
        return Err(Error::new(
            span,
            format!(
                "`{name}` cannot be taken: names that begin with `laterna_` are Laterna's own, those with `sqlite_` SQLite's"
            ),
        ));
    }
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if starts_well && name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_') {
        return Ok(());
    }
    Err(Error::new(span, format!("`{name}` is no name: write letters, digits and `_`, and begin with a letter")))
}

fn is_option(of_type: &Type) -> bool {
    match of_type {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Option"),
        _ => false,
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for next in name.chars() {
        if next.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(next.to_ascii_lowercase());
    }
    snake
}
