//! What can be asked of one release: an operation for each of its tables and queries. Each is the one that all read models have in
//! common, made particular: at an address of its own, with the names and types of columns and parameters.

use super::super::answer::path_segment;
use crate::plugin::{Manifest, NamedQuery, Parameter, ParameterType};
use crate::store::{Column, Relation, RelationKind};
use rusqlite::types::Value as Cell;
use serde_json::{Map, Value, json};

const TABLES: &str = "/projections/{name}/tables/{table}";
const QUERIES: &str = "/projections/{name}/queries/{query}";

/// Adds what this release answers to the description of a host.
pub fn add(document: &mut Value, manifest: &Manifest, relations: &[Relation]) {
    let (table, query) = (document["paths"][TABLES]["get"].clone(), document["paths"][QUERIES]["get"].clone());
    let Some(paths) = document["paths"].as_object_mut() else { return };
    let name = path_segment(&manifest.name);
    for relation in relations {
        let path = format!("/projections/{name}/tables/{}", path_segment(&relation.name));
        paths.insert(path, json!({ "get": of_table(table.clone(), manifest, relation) }));
    }
    for asked in &manifest.queries {
        let path = format!("/projections/{name}/queries/{}", path_segment(&asked.name));
        paths.insert(path, json!({ "get": of_query(query.clone(), manifest, asked) }));
    }
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.push(json!({ "name": manifest.name, "description": manifest.description }));
    }
}

fn of_table(mut operation: Value, manifest: &Manifest, relation: &Relation) -> Value {
    let what = match relation.kind {
        RelationKind::Table => "table",
        RelationKind::View => "view",
    };
    operation["operationId"] = format!("{}.tables.{}", manifest.name, relation.name).into();
    operation["summary"] = format!("Read rows of the {what} `{}`", relation.name).into();
    operation["tags"] = json!([manifest.name]);
    let names: Vec<&str> = relation.columns.iter().map(|column| column.name.as_str()).collect();
    let orders: Vec<String> =
        names.iter().flat_map(|name| [(*name).to_owned(), format!("{name}.asc"), format!("{name}.desc")]).collect();
    let general = take_parameters(&mut operation);
    let known: Vec<String> = general.iter().filter_map(name_of).collect();
    let mut parameters = Vec::new();
    for mut parameter in general {
        match parameter["name"].as_str() {
            Some("filters") => {
                // A column that is called like something else that is asked for cannot be filtered by.
                let columns = relation.columns.iter().filter(|column| !known.contains(&column.name));
                parameters.extend(columns.map(filter));
                continue;
            }
            Some("order") => narrow(&mut parameter, &json!(orders)),
            Some("select") => narrow(&mut parameter, &json!(names)),
            _ => {}
        }
        parameters.push(parameter);
    }
    operation["parameters"] = parameters.into();
    let columns: Map<String, Value> =
        relation.columns.iter().map(|column| (column.name.clone(), cell(relation, column))).collect();
    let mut row = json!({ "type": "object", "properties": columns, "additionalProperties": false });
    if !relation.key.is_empty() {
        row["x-primary-key"] = json!(relation.key);
    }
    answers_rows(&mut operation, &row);
    operation
}

fn of_query(mut operation: Value, manifest: &Manifest, query: &NamedQuery) -> Value {
    operation["operationId"] = format!("{}.queries.{}", manifest.name, query.name).into();
    operation["summary"] = format!("Ask `{}`", query.name).into();
    operation["description"] = query.description.as_str().into();
    operation["tags"] = json!([manifest.name]);
    let general = take_parameters(&mut operation).into_iter().filter(|parameter| parameter["name"] != "arguments");
    operation["parameters"] = query.parameters.iter().map(argument).chain(general).collect::<Vec<_>>().into();
    match query.sql {
        Some(_) => answers_rows(&mut operation, &json!({ "type": "object" })),
        None => {
            let answer = &mut operation["responses"]["200"];
            answer["description"] = "What the component computes.".into();
            // Rows it may have or not.
            answer["content"] = json!({ "application/json": { "schema": {} } });
        }
    }
    operation
}

fn take_parameters(operation: &mut Value) -> Vec<Value> {
    match operation["parameters"].take() {
        Value::Array(parameters) => parameters,
        _ => Vec::new(),
    }
}

/// The name of a parameter, or of the one that it refers to, which is called so, too.
fn name_of(parameter: &Value) -> Option<String> {
    let name = parameter["name"].as_str().or_else(|| parameter["$ref"].as_str()?.rsplit('/').next());
    name.map(str::to_owned)
}

/// Lets a list have these items only. What was an example need not be one of them.
fn narrow(parameter: &mut Value, items: &Value) {
    parameter["schema"]["items"] = json!({ "enum": items });
    if let Some(parameter) = parameter.as_object_mut() {
        parameter.remove("example");
    }
}

fn answers_rows(operation: &mut Value, row: &Value) {
    let schema = &mut operation["responses"]["200"]["content"]["application/json"]["schema"];
    *schema = json!({
        "allOf": [{ "$ref": "#/components/schemas/Rows" }],
        "properties": { "rows": { "items": row } },
    });
}

/// What a column can be filtered by.
fn filter(column: &Column) -> Value {
    const BASE64: &str =
        "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)";
    const NUMBER: &str = r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?";
    // A value, and one of a list. What a view computes has no type, and is compared as it reads.
    let (what, value, listed) = match column.of_type.to_ascii_uppercase().as_str() {
        "INT" | "INTEGER" | "REAL" => ("a number", NUMBER.to_owned(), NUMBER),
        "BLOB" => ("base64", format!("({BASE64})?"), BASE64),
        _ => ("a text", r"[\s\S]*".to_owned(), r#"("([^"\\]|\\[\s\S])*"|[^",]+)"#),
    };
    let pattern = format!(
        r"^(not\.)?((eq|neq|gte?|lte?)\.{value}|like\.[\s\S]*|in\.\({listed}(,{listed})*\)|is\.(null|not_null|true|false))$"
    );
    json!({
        "name": column.name,
        "in": "query",
        "description": format!("An operator, and {what} behind it: `eq.`, `neq.`, `gt.`, `gte.`, `lt.`, `lte.`, `like.`, `in.(…)`, `is.null`; also behind `not.`."),
        "style": "form",
        "explode": true,
        "schema": { "type": "array", "items": { "type": "string", "pattern": pattern } },
    })
}

/// What the cells of a column are as JSON.
fn cell(relation: &Relation, column: &Column) -> Value {
    // The type of a view's column binds nobody where it is put together of several.
    let is_view = relation.kind == RelationKind::View;
    let of_type = match column.of_type.to_ascii_uppercase().as_str() {
        "INT" | "INTEGER" => "integer",
        // Some numbers of SQLite's are none of JSON's, and null there.
        "REAL" => return json!({ "type": ["number", "null"] }),
        "TEXT" => "string",
        "BLOB" if !is_view => "string",
        _ => return json!({}),
    };
    let mut cell = if column.nullable { json!({ "type": [of_type, "null"] }) } else { json!({ "type": of_type }) };
    match column.of_type.to_ascii_uppercase().as_str() {
        "INT" | "INTEGER" => cell["format"] = "int64".into(),
        "BLOB" => cell["contentEncoding"] = "base64".into(),
        _ => {}
    }
    cell
}

/// A parameter of a query.
fn argument(parameter: &Parameter) -> Value {
    let Parameter { name, of_type, default, description } = parameter;
    let mut schema = match of_type {
        ParameterType::Integer => {
            json!({ "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX })
        }
        ParameterType::Real => json!({ "type": "number" }),
        ParameterType::Text => json!({ "type": "string" }),
        ParameterType::Boolean => json!({ "type": "boolean" }),
    };
    match (of_type, default) {
        (ParameterType::Boolean, Some(Cell::Integer(truth))) => schema["default"] = (*truth != 0).into(),
        (_, Some(Cell::Integer(integer))) => schema["default"] = (*integer).into(),
        (_, Some(Cell::Real(real))) => schema["default"] = (*real).into(),
        (_, Some(Cell::Text(text))) => schema["default"] = text.as_str().into(),
        _ => {}
    }
    json!({ "name": name, "in": "query", "required": default.is_none(), "description": description, "schema": schema })
}
