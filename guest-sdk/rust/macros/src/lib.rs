//! The derive macro of `laterna-sdk`; use it from there.
//!
//! In reading order:
//! * `definition`: what an author wrote, with the mistakes named
//! * `sql`: the statements that follow from it
//! * `expansion`: the implementation of `Row`

mod definition;
mod expansion;
mod sql;

use proc_macro::TokenStream;

/// Makes a struct the row of a typed table. See `laterna_sdk::Row`, which says what its attributes mean.
#[proc_macro_derive(Row, attributes(row))]
pub fn derive_row(input: TokenStream) -> TokenStream {
    expand(input.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// The implementation, with what is wrong beside it: so that nothing else is wrong for want of it.
fn expand(input: proc_macro2::TokenStream) -> syn::Result<proc_macro2::TokenStream> {
    let (table, mistakes) = definition::Table::parse(syn::parse2(input)?)?;
    let mut expanded = expansion::expand(&table);
    expanded.extend(mistakes.into_error().map(|error| error.to_compile_error()));
    Ok(expanded)
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::expand;
    use quote::quote;

    /// What is said of it, whether or not it can be understood.
    fn said_of(input: proc_macro2::TokenStream) -> Vec<String> {
        let expanded = expand(input).unwrap_or_else(|error| error.to_compile_error()).to_string();
        let said = expanded.split("compile_error ! {").skip(1);
        said.map(|said| said.split('}').next().unwrap_or_default().trim().replace("\\\"", "\"")).collect()
    }

    #[test]
    fn a_mistake_is_named_with_what_to_write() {
        let mistakes = [
            (
                quote!(
                    enum Order {
                        A,
                    }
                ),
                "a row is a struct with named fields, not an enum",
            ),
            (
                quote!(
                    #[row(table = "orders")]
                    struct Order(String);
                ),
                "a row is a struct with named fields",
            ),
            (
                quote!(
                    #[row(table = "orders")]
                    struct Order<T> {
                        #[row(key)]
                        id: T,
                    }
                ),
                "a row has no type parameters",
            ),
            (
                quote!(
                    struct Order {
                        #[row(key)]
                        id: String,
                    }
                ),
                "say which table it is a row of: #[row(table = \"orders\")]",
            ),
            (
                quote!(
                    #[row(table = "orders")]
                    struct Order {
                        id: String,
                    }
                ),
                "say which field is the key: #[row(key)]",
            ),
            (
                quote!(
                    #[row(table = "my orders")]
                    struct Order {
                        #[row(key)]
                        id: String,
                    }
                ),
                "`my orders` is no name",
            ),
            (
                quote!(
                    #[row(table = "laterna_x")]
                    struct Order {
                        #[row(key)]
                        id: String,
                    }
                ),
                "are Laterna's own",
            ),
            (
                quote!(
                    #[row(tabel = "orders")]
                    struct Order {
                        #[row(key)]
                        id: String,
                    }
                ),
                "write `table = \"…\"` or `index(column, …)`",
            ),
            (
                quote!(
                    #[row(table = "orders")]
                    struct Order {
                        #[row(primary)]
                        id: String,
                    }
                ),
                "write `key`, `default` or `default = …`",
            ),
            (
                quote!(
                    #[row(table = "orders")]
                    struct Order {
                        #[row(key, default)]
                        id: String,
                    }
                ),
                "a key has no default",
            ),
            (
                quote!(
                    #[row(table = "orders")]
                    struct Order {
                        #[row(key)]
                        id: Option<String>,
                    }
                ),
                "a key is always there, so it cannot be an `Option`",
            ),
            (
                quote!(
                    #[row(table = "orders", index(stat))]
                    struct Order {
                        #[row(key)]
                        id: String,
                        status: String,
                    }
                ),
                "`orders` has no column `stat`; it has: id, status",
            ),
            (
                quote!(
                    #[row(table = "orders")]
                    struct Order {
                        #[row(key)]
                        id: String,
                        #[row(default = now())]
                        at: i64,
                    }
                ),
                "a default is a literal",
            ),
            (
                quote!(
                    #[row(table = "orders")]
                    struct Order {
                        #[row(key)]
                        id: String,
                        ID: i64,
                    }
                ),
                "SQLite takes `ID` and `id` for the same column",
            ),
        ];
        for (input, expected) in mistakes {
            let said = said_of(input);
            assert!(said.iter().any(|said| said.contains(expected)), "expected `{expected}`, found {said:?}");
        }
    }
}
