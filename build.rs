// SPDX-License-Identifier: GPL-2.0-or-later
//! Prepares the Kamailio edge: finds the headers of exactly the installed Kamailio, compiles the shim with
//! Kamailio's own definitions, and generates the bindings.
//!
//! Without the feature `module` there is nothing to do. Each way this can fail ends in one sentence that
//! says what to do.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a build script speaks to cargo by its output and its environment"
)]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "module")]
    if let Err(sentence) = module::build() {
        println!("cargo::error=stox cannot be built: {sentence}");
    }
}

#[cfg(feature = "module")]
mod module {
    use std::env;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    /// Prints what a module's loader compares, and the version as a number.
    const PROBE: &str = r#"
        #include <stdio.h>
        #include "core/ver_defs.h"
        int main(void) { printf("%s\n%s\n%s\n", VERSION, SER_FULL_VERSION, SER_COMPILE_FLAGS); return 0; }
    "#;

    /// Prints one compiler flag per line; the shell undoes the quoting.
    const SHOW_FLAGS: &str =
        "main_makefile=1\ninclude Makefile.defs\nshow:\n\t@printf \"%s\\n\" $(C_DEFS) $(CFLAGS)\n";

    pub(super) fn build() -> Result<(), String> {
        for name in ["KAMAILIO_SRC", "KAMAILIO_MODULES", "LIBCLANG_PATH", "CC"] {
            println!("cargo::rerun-if-env-changed={name}");
        }
        for file in ["wrapper.h", "shim.h", "shim.c", "stox.h"] {
            println!("cargo::rerun-if-changed=include/{file}");
        }
        let out = PathBuf::from(variable("OUT_DIR")?);
        let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);

        let installed = Installed::find()?;
        let source = source(&root, installed.as_ref())?;
        println!(
            "cargo::rerun-if-changed={}",
            source.join("Makefile.defs").display()
        );
        let flags = flags(&source)?;
        let target = Target::probe(&out, &source, &flags)?;
        if let Some(installed) = &installed {
            installed.compare(&target, &source)?;
        }
        fs::write(out.join("target.rs"), target.constants())
            .map_err(|e| format!("cannot write to {}: {e}", out.display()))?;
        shim(&root, &source, &flags)?;
        bindings(&root, &out, &source, &flags)
    }

    fn variable(name: &str) -> Result<String, String> {
        env::var(name).map_err(|_| format!("{name} is not set: build with cargo"))
    }

    /// A module of the installed Kamailio: it holds the very strings that the loader compares with ours.
    struct Installed {
        module: PathBuf,
        content: Vec<u8>,
        version: String,
    }

    impl Installed {
        /// `None` only if the source tree is given and nothing is installed to compare with.
        fn find() -> Result<Option<Self>, String> {
            let module = match env::var_os("KAMAILIO_MODULES") {
                Some(folder) => Some(PathBuf::from(folder).join("tm.so")),
                None => Self::default_module(),
            };
            let Some(module) = module else {
                if env::var_os("KAMAILIO_SRC").is_some() {
                    println!(
                        "cargo::warning=no installed Kamailio was found to compare with: the module loads \
                         only into the version of KAMAILIO_SRC"
                    );
                    return Ok(None);
                }
                return Err(
                    "Kamailio is not installed: apt-get install kamailio, or set \
                            KAMAILIO_MODULES to the folder of its modules"
                        .into(),
                );
            };
            println!("cargo::rerun-if-changed={}", module.display());
            let content = fs::read(&module).map_err(|e| {
                format!(
                    "{} cannot be read ({e}): set KAMAILIO_MODULES to the folder of Kamailio's modules",
                    module.display()
                )
            })?;
            let version = full_version(&content).ok_or_else(|| {
                format!(
                    "{} is no Kamailio module: set KAMAILIO_MODULES to the folder of Kamailio's modules",
                    module.display()
                )
            })?;
            Ok(Some(Self {
                module,
                content,
                version,
            }))
        }

        fn default_module() -> Option<PathBuf> {
            let mut found: Vec<_> = [
                "/usr/lib",
                "/usr/lib64",
                "/usr/local/lib",
                "/usr/local/lib64",
            ]
            .iter()
            .flat_map(|lib| {
                let below = fs::read_dir(lib)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|e| e.path());
                std::iter::once(PathBuf::from(lib)).chain(below)
            })
            .map(|lib| lib.join("kamailio/modules/tm.so"))
            .filter(|module| module.is_file())
            .collect();
            found.sort();
            found.into_iter().next()
        }

        /// `5.6.3`
        fn number(&self) -> &str {
            self.version.split(' ').nth(1).unwrap_or(&self.version)
        }

        fn compare(&self, target: &Target, source: &Path) -> Result<(), String> {
            let holds = |text: &str| {
                let wanted = [text.as_bytes(), b"\0"].concat();
                self.content
                    .windows(wanted.len())
                    .any(|window| window == wanted)
            };
            if !holds(&target.version) {
                return Err(format!(
                    "the headers in {} are of \"{}\", the installed {} is of \"{}\": give the headers of \
                     that version in KAMAILIO_SRC",
                    source.display(),
                    target.version.trim_end(),
                    self.module.display(),
                    self.version.trim_end()
                ));
            }
            if !holds(&target.flags) {
                return Err(format!(
                    "the compile flags of {} (\"{}\") are not those of the installed {}, which would refuse \
                     the module: configure the source as that Kamailio was built",
                    source.display(),
                    target.flags,
                    self.module.display()
                ));
            }
            Ok(())
        }
    }

    /// `kamailio 5.6.3 (x86_64/linux)` as found in a module.
    fn full_version(module: &[u8]) -> Option<String> {
        const NAME: &[u8] = b"\0kamailio ";
        let mut from = 0;
        while let Some(at) = module[from..].windows(NAME.len()).position(|w| w == NAME) {
            let text = &module[from + at + 1..];
            let end = text.iter().position(|&b| b == 0)?;
            let text = String::from_utf8_lossy(&text[..end]);
            if text.trim_end().ends_with(')')
                && text[NAME.len() - 1..].starts_with(|c: char| c.is_ascii_digit())
            {
                return Some(text.into_owned());
            }
            from += at + 1;
        }
        None
    }

    /// The `src` folder of the matching source tree.
    fn source(root: &Path, installed: Option<&Installed>) -> Result<PathBuf, String> {
        let (tree, hint) = match (env::var_os("KAMAILIO_SRC"), installed) {
            (Some(tree), _) => (
                PathBuf::from(tree),
                "set KAMAILIO_SRC to a Kamailio source tree".to_owned(),
            ),
            (None, Some(installed)) => (
                root.join("target/kamailio-src")
                    .join(format!("kamailio-{}", installed.number())),
                format!(
                    "fetch those of Kamailio {} with \"sh include/fetch-headers.sh target/kamailio-src\", or \
                     set KAMAILIO_SRC",
                    installed.number()
                ),
            ),
            (None, None) => {
                return Err("Kamailio is not installed: apt-get install kamailio".into());
            }
        };
        let source = tree.join("src");
        for file in ["core/sr_module.h", "modules/tm/tm_load.h", "Makefile.defs"] {
            if !source.join(file).is_file() {
                return Err(format!("no Kamailio headers in {}: {hint}", tree.display()));
            }
        }
        Ok(source)
    }

    /// Kamailio's own definitions, from its `Makefile.defs`, without writing into its tree.
    fn flags(source: &Path) -> Result<Vec<String>, String> {
        let run = |stdin: &Path| {
            Command::new("make")
                .args(["-s", "--no-print-directory", "-f"])
                .arg(stdin)
                .args(["-C"])
                .arg(source)
                // Debian builds with OpenSSL 1.1 or later; without its headers here the flag would be lost.
                .args(["LIBSSL_SET_MUTEX_SHARED=1", "show"])
                .env_remove("MAKEFLAGS")
                .env_remove("MAKELEVEL")
                .env_remove("MFLAGS")
                .output()
        };
        let makefile = PathBuf::from(variable("OUT_DIR")?).join("show.mk");
        fs::write(&makefile, SHOW_FLAGS)
            .map_err(|e| format!("cannot write {}: {e}", makefile.display()))?;
        let output = run(&makefile)
            .map_err(|e| format!("make cannot be run ({e}): apt-get install make"))?;
        if !output.status.success() {
            return Err(format!(
                "make failed on {}/Makefile.defs ({}): set KAMAILIO_SRC to an unmodified source tree",
                source.display(),
                String::from_utf8_lossy(&output.stderr)
                    .trim()
                    .replace('\n', " ")
            ));
        }
        let flags: Vec<_> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter(|line| line.starts_with("-D"))
            .map(str::to_owned)
            .collect();
        if flags.is_empty() {
            return Err(format!(
                "{}/Makefile.defs gives no definitions: set KAMAILIO_SRC to an unmodified source tree",
                source.display()
            ));
        }
        Ok(flags)
    }

    /// What the module will claim to be built for.
    struct Target {
        number: String,
        version: String,
        flags: String,
    }

    impl Target {
        fn probe(out: &Path, source: &Path, flags: &[String]) -> Result<Self, String> {
            let (code, program) = (out.join("probe.c"), out.join("probe"));
            fs::write(&code, PROBE).map_err(|e| format!("cannot write {}: {e}", code.display()))?;
            let compiler = cc::Build::new()
                .cargo_warnings(false)
                .try_get_compiler()
                .map_err(|e| format!("no C compiler was found ({e}): apt-get install gcc"))?;
            let output = Command::new(compiler.path())
                .args(flags)
                .arg("-I")
                .arg(source)
                .arg(&code)
                .arg("-o")
                .arg(&program)
                .output()
                .map_err(|e| format!("the C compiler cannot be run ({e}): apt-get install gcc"))?;
            if !output.status.success() {
                return Err(format!(
                    "the headers in {} do not compile ({}): apt-get install gcc libc6-dev, or set \
                     KAMAILIO_SRC to an unmodified source tree",
                    source.display(),
                    String::from_utf8_lossy(&output.stderr)
                        .lines()
                        .next()
                        .unwrap_or_default()
                ));
            }
            let printed = Command::new(&program).output().map_err(|e| {
                format!(
                    "{} cannot be run ({e}): build on the machine's own kind",
                    program.display()
                )
            })?;
            let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
            let mut lines = printed.lines().map(str::to_owned);
            match (lines.next(), lines.next(), lines.next()) {
                (Some(number), Some(version), Some(flags)) => Ok(Self {
                    number,
                    version,
                    flags,
                }),
                _ => Err(format!(
                    "the version in {} cannot be read: set KAMAILIO_SRC",
                    source.display()
                )),
            }
        }

        fn constants(&self) -> String {
            format!(
                "/// The version Kamailio compares when it loads the module.\n\
                 pub(crate) const FULL_VERSION: &std::ffi::CStr = c{:?};\n\
                 /// The compile flags Kamailio compares when it loads the module.\n\
                 pub(crate) const COMPILE_FLAGS: &std::ffi::CStr = c{:?};\n\
                 /// The version for people.\n\
                 pub(crate) const NUMBER: &str = {:?};\n",
                self.version, self.flags, self.number
            )
        }
    }

    fn shim(root: &Path, source: &Path, flags: &[String]) -> Result<(), String> {
        let mut build = cc::Build::new();
        for flag in flags {
            build.flag(flag);
        }
        build
            .file(root.join("include/shim.c"))
            .include(root.join("include"))
            .include(source)
            .define("MOD_NAME", "\"stox\"")
            .cargo_warnings(false)
            .flag("-Werror=implicit-function-declaration")
            .cargo_debug(false)
            .try_compile("stox_shim")
            .map_err(|_| {
                format!(
                    "include/shim.c does not compile against the headers in {}: set KAMAILIO_SRC to the \
                     source tree of Kamailio 5.6 or later",
                    source.display()
                )
            })
    }

    fn bindings(root: &Path, out: &Path, source: &Path, flags: &[String]) -> Result<(), String> {
        // bindgen panics without libclang, and the panic's backtrace would bury the sentence.
        std::panic::set_hook(Box::new(|_| {}));
        std::panic::catch_unwind(bindgen::clang_version).map_err(|_| {
            "libclang was not found: apt-get install libclang-dev, or set LIBCLANG_PATH".to_owned()
        })?;
        let _ = std::panic::take_hook();

        let mut builder = bindgen::builder()
            .header(root.join("include/wrapper.h").display().to_string())
            .clang_args(flags)
            .clang_arg(format!("-I{}", source.display()))
            .clang_arg(format!("-I{}", root.join("include").display()))
            .default_enum_style(bindgen::EnumVariation::ModuleConsts)
            .default_macro_constant_type(bindgen::MacroTypeVariation::Signed)
            .generate_comments(false)
            .allowlist_function("shim_.*")
            .allowlist_var("STOX_.*");
        for name in TYPES {
            builder = builder.allowlist_type(name);
        }
        for name in CONSTANTS {
            builder = builder.allowlist_var(name);
        }
        builder
            .generate()
            .map_err(|e| {
                format!(
                    "the headers in {} are not understood ({e}): set KAMAILIO_SRC",
                    source.display()
                )
            })?
            .write_to_file(out.join("sys.rs"))
            .map_err(|e| format!("cannot write to {}: {e}", out.display()))
    }

    /// What the edge names of Kamailio; what these types hold comes along.
    const TYPES: &[&str] = &[
        "cmd_export_t",
        "counter_def_s",
        "dlg_t",
        "lump",
        "lump_op",
        "module_exports",
        "param_export_t",
        "pv_export_t",
        "rpc_export_t",
        "rpc_t",
        "rr_t",
        "sip_msg",
        "sip_protos",
        "sl_api_t",
        "socket_info",
        "sr_kemi_t",
        "stox_.*",
        "tm_binds",
        "tmcb_params",
        "uac_req_t",
    ];

    const CONSTANTS: &[&str] = &[
        "MODULE_INTERFACE_VER",
        "PARAM_INT",
        "PARAM_STRING",
        "PROC_MAIN",
        "REQUEST_ROUTE",
        "SIP_REQUEST",
        "SR_KEMIP_.*",
        "TMCB_LOCAL_COMPLETED",
        "T_BR_UNDEFINED",
    ];
}
