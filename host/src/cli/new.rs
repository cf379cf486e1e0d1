//! `laterna new`

use super::Failure;
use crate::plugin::is_name;
use include_dir::{Dir, include_dir};
use std::fs;
use std::path::{Path, PathBuf};

/// The SDK as it was when this binary was built, so that a component can be written with nothing but the binary.
static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../guest-sdk/rust");

/// The folder that the SDK is written into, beside the new crate.
const SDK_FOLDER: &str = "laterna-sdk";

/// The files of any new component; `{{…}}` is filled in.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../templates/Cargo.toml")),
    (".gitignore", include_str!("../../templates/gitignore")),
];

/// What a projection's crate needs besides: to run natively it needs SQLite.
const NATIVE: &str = include_str!("../../templates/native.toml");

const PROFILE: &str = include_str!("../../templates/profile.toml");

/// A kind of component.
struct Kind {
    /// As people call it.
    name: &'static str,
    /// What is put behind a type's name that is taken.
    suffix: &'static str,
    /// Its files, besides those of any.
    files: &'static [(&'static str, &'static str)],
    /// It runs over SQLite.
    is_projection: bool,
}

const PROJECTION: Kind = Kind {
    name: "projection",
    suffix: "Projection",
    files: &[
        ("src/lib.rs", include_str!("../../templates/projection/src/lib.rs")),
        (
            "scenarios/orders_count_for_their_customer.yaml",
            include_str!("../../templates/projection/scenarios/orders_count_for_their_customer.yaml"),
        ),
        ("README.md", include_str!("../../templates/projection/README.md")),
    ],
    is_projection: true,
};

const PROCESS_MANAGER: Kind = Kind {
    name: "process manager",
    suffix: "Manager",
    files: &[
        ("src/lib.rs", include_str!("../../templates/process-manager/src/lib.rs")),
        (
            "scenarios/who_does_not_pay_is_reminded.yaml",
            include_str!("../../templates/process-manager/scenarios/who_does_not_pay_is_reminded.yaml"),
        ),
        (
            "scenarios/what_is_refused_is_set_aside.yaml",
            include_str!("../../templates/process-manager/scenarios/what_is_refused_is_set_aside.yaml"),
        ),
        (
            "scenarios/who_pays_is_reminded_no_more.yaml",
            include_str!("../../templates/process-manager/scenarios/who_pays_is_reminded_no_more.yaml"),
        ),
        ("README.md", include_str!("../../templates/process-manager/README.md")),
    ],
    is_projection: false,
};

/// Begin a new component
#[derive(clap::Args)]
pub struct New {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// A crate that folds events into a read model, with a scenario that passes
    Projection(Component),
    /// A crate that reacts to events with events and timers, with scenarios that pass
    ProcessManager(Component),
}

#[derive(clap::Args)]
struct Component {
    /// What the component, its crate and its folder are called
    name: String,
    /// The folder that the crate's folder is made in
    #[arg(long, default_value = ".")]
    path: PathBuf,
    /// The folder of the crate laterna-sdk; by default that of the Laterna repository around, or a copy beside the new crate
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

impl New {
    pub fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Projection(component) => component.make(&PROJECTION),
            What::ProcessManager(component) => component.make(&PROCESS_MANAGER),
        }
    }
}

impl Component {
    fn make(&self, kind: &Kind) -> Result<(), Failure> {
        let name = &self.name;
        check_name(name)?;
        let folder = self.path.join(name);
        if folder.exists() {
            return Err(
                format!("{} is there already: choose another name, or remove it first", folder.display()).into()
            );
        }
        fs::create_dir_all(&self.path)?;
        let folder = self.path.canonicalize()?.join(name);
        let (sdk, is_member) = self.sdk(&folder)?;
        let fill = |template: &str| {
            template
                .replace("{{name}}", name)
                .replace("{{artifact}}", &name.replace('-', "_"))
                .replace("{{stream}}", &name.replace('-', "."))
                .replace("{{type}}", &type_name(name, kind.suffix))
                // One that stands in another workspace by chance is none of its members.
                .replace("{{workspace}}", if is_member { "" } else { "\n[workspace]\n" })
                .replace("{{native}}\n", if kind.is_projection { NATIVE } else { "" })
                .replace("{{sdk}}", &sdk)
                .replace("{{profile}}\n", if is_member { "" } else { PROFILE })
        };
        for (file, template) in FILES.iter().chain(kind.files) {
            write(&folder.join(file), fill(template).as_bytes())?;
        }
        let schema = format!("{:#}\n", crate::scenario::json_schema());
        write(&folder.join("scenarios/scenario.schema.json"), schema.as_bytes())?;
        let shown = if self.path == Path::new(".") { name.into() } else { self.path.join(name) };
        println!("made the {} `{name}` in {}/\n\nNext:", kind.name, shown.display());
        let enter = format!("cd {}", shown.display());
        let commands = [
            (enter.as_str(), ""),
            ("laterna test", "run its scenarios, without a host"),
            ("cargo test", "run its code natively"),
            ("laterna build --watch --out DATA/components", "build it and drop it into a host on each save"),
        ];
        for (command, what) in commands {
            println!("{}", format!("  {command:<46}{what}").trim_end());
        }
        Ok(())
    }

    /// Where the SDK is, as the crate names it; and whether the crate is a member of Laterna's own workspace.
    fn sdk(&self, folder: &Path) -> Result<(String, bool), Failure> {
        if let Some(sdk) = &self.sdk {
            if !is_sdk(sdk) {
                return Err(format!("{} is not the folder of the crate laterna-sdk", sdk.display()).into());
            }
            return Ok((sdk.canonicalize()?.display().to_string(), false));
        }
        for (levels, ancestor) in folder.ancestors().enumerate().skip(1) {
            if is_sdk(&ancestor.join("guest-sdk/rust")) {
                let is_member = levels == 2 && folder.parent().is_some_and(|parent| parent.ends_with("projections"));
                return Ok((format!("{}guest-sdk/rust", "../".repeat(levels)), is_member));
            }
        }
        let beside = folder.with_file_name(SDK_FOLDER);
        if !is_sdk(&beside) {
            extract(&SDK, &beside)?;
        } else if !is_as_written(&SDK, &beside) {
            eprintln!(
                "note: the {SDK_FOLDER} beside it is not the one of this binary; it is kept. Remove it, and run this again with \
                 another name, to have it written anew"
            );
        }
        Ok((format!("../{SDK_FOLDER}"), false))
    }
}

fn is_sdk(folder: &Path) -> bool {
    let manifest = fs::read_to_string(folder.join("Cargo.toml"));
    manifest.is_ok_and(|manifest| manifest.contains("name = \"laterna-sdk\""))
}

fn extract(dir: &Dir<'_>, into: &Path) -> Result<(), Failure> {
    for file in dir.files() {
        write(&into.join(file.path()), file.contents())?;
    }
    dir.dirs().try_for_each(|dir| extract(dir, into))
}

fn is_as_written(dir: &Dir<'_>, into: &Path) -> bool {
    let is_same =
        |file: &include_dir::File<'_>| fs::read(into.join(file.path())).is_ok_and(|content| content == file.contents());
    dir.files().all(is_same) && dir.dirs().all(|dir| is_as_written(dir, into))
}

fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn check_name(name: &str) -> Result<(), Failure> {
    const TAKEN: &[&str] = &[
        "abstract",
        "alloc",
        "as",
        "async",
        "await",
        "become",
        "box",
        "break",
        "const",
        "continue",
        "core",
        "crate",
        "do",
        "dyn",
        "else",
        "enum",
        "extern",
        "false",
        "final",
        "fn",
        "for",
        "gen",
        "if",
        "impl",
        "in",
        "laterna-sdk",
        "let",
        "loop",
        "macro",
        "match",
        "mod",
        "move",
        "mut",
        "override",
        "priv",
        "proc-macro",
        "pub",
        "ref",
        "return",
        "self",
        "static",
        "std",
        "struct",
        "super",
        "test",
        "trait",
        "true",
        "try",
        "type",
        "typeof",
        "unsafe",
        "unsized",
        "use",
        "virtual",
        "where",
        "while",
        "yield",
        "serde",
        "serde_json",
    ];
    if !is_name(name) {
        return Err(format!(
            "`{name}` is no component's name: write a letter, then up to 63 letters, digits, `-` or `_`"
        )
        .into());
    }
    if TAKEN.contains(&name) {
        return Err(format!("`{name}` is a word of Rust, or a crate that yours needs: choose another name").into());
    }
    Ok(())
}

/// `orders-by-customer` as the name of a type: `OrdersByCustomer`.
fn type_name(name: &str, suffix: &str) -> String {
    let mut type_name = String::new();
    for word in name.split(['-', '_']) {
        let mut letters = word.chars();
        type_name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        type_name.extend(letters);
    }
    // What the templates import, and what they call their own.
    const TAKEN: &[&str] = &[
        "Action",
        "Arguments",
        "Customer",
        "DefaultRow",
        "Deserialize",
        "Duration",
        "Error",
        "Event",
        "Happened",
        "Key",
        "Manifest",
        "NamedQuery",
        "Option",
        "Order",
        "ParameterType",
        "ProcessManager",
        "ProcessManifest",
        "Projection",
        "Reminding",
        "Result",
        "Row",
        "Serialize",
        "Shop",
        "Some",
        "None",
        "Ok",
        "Err",
        "Store",
        "String",
        "Table",
        "Timer",
        "Turn",
        "Vec",
        "Box",
        "Default",
        "Clone",
    ];
    if TAKEN.contains(&type_name.as_str()) { type_name + suffix } else { type_name }
}
