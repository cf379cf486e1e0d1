//! The implementation of `Row`.

use super::definition::{Column, Default, Table};
use super::sql;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Lit};

pub fn expand(table: &Table) -> TokenStream {
    let Table { row, name, .. } = table;
    let sdk = quote!(::laterna_sdk);
    let fields: Vec<_> = table.columns.iter().map(|column| &column.field).collect();
    let columns: Vec<_> = table.columns.iter().map(|column| &column.name).collect();
    let key_fields: Vec<_> = table.keys().map(|column| &column.field).collect();
    let key_types: Vec<_> = table.keys().map(|column| &column.of_type).collect();
    let key_places: Vec<_> = (0..key_types.len()).map(syn::Index::from).collect();

    // One field is a key by itself, several are a tuple.
    let borrowed =
        |key_type: &&syn::Type| quote_spanned!(key_type.span()=> <#key_type as #sdk::KeyColumn>::Borrowed<'k>);
    let borrowed: Vec<_> = key_types.iter().map(borrowed).collect();
    let is_single = key_types.len() == 1;
    let key_type = if is_single { quote!(#(#borrowed)*) } else { quote!((#(#borrowed),*)) };
    let key = quote!(#(<#key_types as #sdk::KeyColumn>::borrow(&self.#key_fields)),*);
    let key = if is_single { key } else { quote!((#key)) };
    let parts: Vec<_> =
        if is_single { vec![quote!(key)] } else { key_places.iter().map(|place| quote!(key.#place)).collect() };

    let (get, remove) = (sql::get(table), sql::remove(table));
    let [insert, put] = [sql::insert(table), sql::put(table)];
    let [select, compared, order] = sql::scan(table);
    let definitions = table.columns.iter().map(|column| definition(&sdk, column, is_single));
    let primary_key = if is_single {
        String::new()
    } else {
        let keys: Vec<String> = table.keys().map(|column| sql::quoted(&column.name)).collect();
        format!(",\n    PRIMARY KEY ({})", keys.join(", "))
    };
    let (begin, indexes) = (format!("CREATE TABLE {} (\n", sql::quoted(name)), sql::indexes(table));
    // A single integer is SQLite's own key of a row; any other is the table's only order.
    let rowid = if is_single { quote!(#(<#key_types as #sdk::Column>::SQL_TYPE == "INTEGER")*) } else { quote!(false) };
    let settled = table.columns.iter().map(|Column { field, name: column, of_type, .. }| {
        quote_spanned!(of_type.span()=>
            bytes += #sdk::Column::settle(&mut self.#field).map_err(|error| #sdk::__private::of_column(#name, #column, error))?;
        )
    });
    let from_cell = |Column { field, name: column, of_type, .. }: &Column| {
        quote! {
            #field: <#of_type as #sdk::Column>::from_cell(cells.next().unwrap_or(#sdk::Value::Null))
                .map_err(|error| #sdk::__private::of_column(#name, #column, error))?
        }
    };
    let read = table.columns.iter().map(from_cell);
    let mut rest = parts.iter();
    let found = table.columns.iter().map(|column| {
        let Column { field, of_type, is_key, .. } = column;
        if !is_key {
            return from_cell(column);
        }
        let part = rest.next();
        quote!(#field: <#of_type as #sdk::KeyColumn>::to_owned(#part))
    });
    let found: Vec<_> = found.collect();
    let defaults = with_defaults(&sdk, table, &parts);

    quote! {
        impl #sdk::Row for #row {
            type Key<'k> = #key_type;
            const TABLE: &'static str = #name;
            const COLUMNS: &'static [&'static str] = &[#(#columns),*];
            const GET: &'static str = #get;
            const INSERT: &'static str = #insert;
            const PUT: &'static str = #put;
            const REMOVE: &'static str = #remove;
            const SCAN: [&'static str; 3] = [#select, #compared, #order];

            fn schema() -> ::std::string::String {
                let columns: &[::std::string::String] = &[#(#definitions),*];
                let kind = if #rowid { "STRICT" } else { "STRICT, WITHOUT ROWID" };
                ::std::format!("{}{}{}\n) {};\n{}", #begin, columns.join(",\n"), #primary_key, kind, #indexes)
            }

            fn key(&self) -> Self::Key<'_> {
                #key
            }

            fn has_key(&self, key: Self::Key<'_>) -> bool {
                #(<#key_types as #sdk::KeyColumn>::borrow(&self.#key_fields) == #parts)&&*
            }

            fn encode_key(key: Self::Key<'_>, bytes: &mut ::std::vec::Vec<u8>) {
                #(<#key_types as #sdk::KeyColumn>::encode(#parts, bytes);)*
            }

            fn push_key<'k>(key: Self::Key<'k>, cells: &mut ::std::vec::Vec<#sdk::__private::Cell<'k>>) {
                #(cells.push(<#key_types as #sdk::KeyColumn>::borrowed_cell(#parts));)*
            }

            fn push_cells<'a>(&'a self, cells: &mut ::std::vec::Vec<#sdk::__private::Cell<'a>>) {
                cells.extend([#(#sdk::Column::cell(&self.#fields)),*]);
            }

            fn from_key_and_cells(
                key: Self::Key<'_>,
                cells: &mut ::std::vec::IntoIter<#sdk::Value>,
            ) -> #sdk::Result<Self> {
                ::std::result::Result::Ok(Self { #(#found),* })
            }

            fn from_cells(cells: &mut ::std::vec::IntoIter<#sdk::Value>) -> #sdk::Result<Self> {
                ::std::result::Result::Ok(Self { #(#read),* })
            }

            fn settle(&mut self) -> #sdk::Result<usize> {
                let mut bytes = 0;
                #(#settled)*
                ::std::result::Result::Ok(bytes)
            }
        }

        #defaults
    }
}

/// A line of the table's DDL, as an expression: the type's own trait knows what SQLite calls it.
fn definition(sdk: &TokenStream, column: &Column, is_single_key: bool) -> TokenStream {
    let Column { name, of_type, is_key, default, .. } = column;
    let name = format!("    {}", sql::quoted(name));
    let key = if *is_key && is_single_key { " PRIMARY KEY" } else { "" };
    let default = match default {
        None | Some(Default::Null) => quote!(""),
        Some(Default::OfType) => quote!(<#of_type as #sdk::Column>::SQL_DEFAULT),
        Some(Default::Literal(value)) => {
            let value = match value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => sql::text(&text.value()),
                Expr::Lit(ExprLit { lit: Lit::Bool(yes), .. }) => u8::from(yes.value).to_string(),
                Expr::Lit(ExprLit { lit, .. }) => number(lit),
                Expr::Unary(negative) => match &*negative.expr {
                    Expr::Lit(ExprLit { lit, .. }) => format!("-{}", number(lit)),
                    _ => String::new(),
                },
                _ => String::new(),
            };
            let value = format!(" DEFAULT {value}");
            quote!(#value)
        }
    };
    quote_spanned! {of_type.span()=>
        ::std::format!("{} {}{}{}{}", #name, <#of_type as #sdk::Column>::SQL_TYPE, <#of_type as #sdk::Column>::SQL_NULL, #key, #default)
    }
}

fn number(literal: &Lit) -> String {
    match literal {
        Lit::Int(number) => number.base10_digits().to_owned(),
        Lit::Float(number) => number.base10_digits().to_owned(),
        _ => String::new(),
    }
}

/// A row can be made from its key alone where every other column has a default.
fn with_defaults(sdk: &TokenStream, table: &Table, parts: &[TokenStream]) -> TokenStream {
    let row = &table.row;
    let mut parts = parts.iter();
    let mut fields = Vec::new();
    for Column { field, of_type, is_key, default, .. } in &table.columns {
        let value = match default {
            _ if *is_key => {
                let part = parts.next();
                quote!(<#of_type as #sdk::KeyColumn>::to_owned(#part))
            }
            None => return TokenStream::new(),
            Some(Default::Null) => quote!(::std::option::Option::None),
            Some(Default::OfType) => quote!(::std::default::Default::default()),
            Some(Default::Literal(Expr::Lit(ExprLit { lit: Lit::Str(text), .. }))) => {
                quote!(::std::convert::From::from(#text))
            }
            Some(Default::Literal(value)) => quote!(#value),
        };
        fields.push(quote!(#field: #value));
    }
    quote! {
        impl #sdk::DefaultRow for #row {
            fn from_key(key: Self::Key<'_>) -> Self {
                Self { #(#fields),* }
            }
        }
    }
}
