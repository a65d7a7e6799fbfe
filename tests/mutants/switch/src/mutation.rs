//! Each kind of mutant as a change of the source that takes effect when its number is chosen.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;

use proc_macro2::{LineColumn, Span};
use serde::Deserialize;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Arm, Block, Expr, ExprBinary, ExprUnary, ImplItemConst, ImplItemFn, ItemConst, ItemFn, ItemStatic, Signature,
    TraitItemFn, TypeImplTrait,
};

use crate::edit::{Edits, Part};

#[derive(Deserialize)]
pub(crate) struct Mutant {
    id: u32,
    pub(crate) file: String,
    genre: String,
    span: Area,
    replacement: String,
}

#[derive(Deserialize)]
struct Area {
    start: Position,
}

/// Both count from 1.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    line: usize,
    column: usize,
}

impl From<LineColumn> for Position {
    fn from(position: LineColumn) -> Self {
        Self { line: position.line, column: position.column + 1 }
    }
}

/// Writes the mutants of a file, and returns the numbers of those that it wrote.
pub(crate) fn write(source: &str, mutants: &[&Mutant], edits: &mut Edits<'_>) -> Result<Vec<u32>, Box<dyn Error>> {
    let mut by_start: BTreeMap<Position, Vec<&Mutant>> = BTreeMap::new();
    for mutant in mutants {
        by_start.entry(mutant.span.start).or_default().push(mutant);
    }
    let mut writer = Writer { by_start, edits, written: Vec::new() };
    writer.visit_file(&syn::parse_file(source)?);
    Ok(writer.written)
}

struct Writer<'a, 'b> {
    by_start: BTreeMap<Position, Vec<&'a Mutant>>,
    edits: &'a mut Edits<'b>,
    written: Vec<u32>,
}

impl<'a> Writer<'a, '_> {
    /// The mutants of some kinds that begin where `at` does.
    fn mutants(&mut self, at: Span, genres: &[&str]) -> Vec<&'a Mutant> {
        let Some(here) = self.by_start.get(&at.start().into()) else { return Vec::new() };
        let found: Vec<_> = here.iter().copied().filter(|mutant| genres.contains(&mutant.genre.as_str())).collect();
        self.written.extend(found.iter().map(|mutant| mutant.id));
        found
    }

    fn range(&self, node: &impl Spanned) -> Range<usize> {
        let span = node.span();
        self.edits.offset(span.start())..self.edits.offset(span.end())
    }

    fn function(&mut self, signature: &Signature, block: &Block) {
        if signature.constness.is_some() || returns_some_type(signature) {
            return;
        }
        // The span of a body begins after its brace or with its first statement.
        let brace = block.brace_token.span.open();
        let first = block.stmts.first().map_or(brace, Spanned::span);
        let mut mutants = self.mutants(brace, &["FnValue"]);
        if first.start() != brace.start() {
            mutants.extend(self.mutants(first, &["FnValue"]));
        }
        if mutants.is_empty() {
            return;
        }
        let text = mutants
            .iter()
            .map(|mutant| format!(" if {} {{ return {}; }}", active(mutant.id), mutant.replacement))
            .collect();
        let at = self.edits.offset(brace.end());
        self.edits.replace(at..at, vec![Part::Text(text)]);
    }

    /// An expression of which each mutant has a form of its own, and the source, which is no mutant, another.
    fn forms(&mut self, node: &impl Spanned, mutants: &[&Mutant], form: impl Fn(Option<&Mutant>) -> Vec<Part>) {
        let mut parts = vec![Part::Text("(".into())];
        for mutant in mutants {
            parts.push(Part::Text(format!("if {} {{ ", active(mutant.id))));
            parts.extend(form(Some(mutant)));
            parts.push(Part::Text(" } else ".into()));
        }
        parts.push(Part::Text("{ ".into()));
        parts.extend(form(None));
        parts.push(Part::Text(" })".into()));
        let range = self.range(node);
        self.edits.replace(range, parts);
    }

    fn arm(&mut self, arm: &Arm, deleted: &[&Mutant], replaced: &[&Mutant]) {
        let mut before: String = deleted.iter().map(|mutant| format!("!{} && ", active(mutant.id))).collect();
        let mut after = String::new();
        for mutant in replaced {
            let (switch, always) = (active(mutant.id), mutant.replacement == "true");
            before += &if always { format!("({switch} || ") } else { format!("(!{switch} && ") };
            after.push(')');
        }
        match &arm.guard {
            Some((_, guard)) => {
                let range = self.range(guard);
                let parts =
                    vec![Part::Text(before + "("), Part::Source(range.clone()), Part::Text(")".to_owned() + &after)];
                self.edits.replace(range, parts);
            }
            None => {
                let at = self.range(&arm.pat).end;
                self.edits.replace(at..at, vec![Part::Text(format!(" if {before}true"))]);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Writer<'_, '_> {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.function(&function.sig, &function.block);
        if function.sig.constness.is_none() {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.function(&function.sig, &function.block);
        if function.sig.constness.is_none() {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(block) = &function.default {
            self.function(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }

    // What is computed when the crate is compiled cannot depend on the environment.
    fn visit_item_const(&mut self, _: &'ast ItemConst) {}

    fn visit_impl_item_const(&mut self, _: &'ast ImplItemConst) {}

    fn visit_item_static(&mut self, _: &'ast ItemStatic) {}

    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        if !has_let(&binary.left) && !has_let(&binary.right) {
            let mutants = self.mutants(binary.op.span(), &["BinaryOperator"]);
            if !mutants.is_empty() {
                let (left, right) = (self.range(&binary.left), self.range(&binary.right));
                let operator = self.range(&binary.op);
                // In parentheses, since `a as usize < b` would begin generic arguments.
                self.forms(binary, &mutants, |mutant| {
                    let operator = match mutant {
                        Some(mutant) => Part::Text(mutant.replacement.clone()),
                        None => Part::Source(operator.clone()),
                    };
                    vec![
                        Part::Text("(".into()),
                        Part::Source(left.clone()),
                        Part::Text(") ".into()),
                        operator,
                        Part::Text(" (".into()),
                        Part::Source(right.clone()),
                        Part::Text(")".into()),
                    ]
                });
            }
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast ExprUnary) {
        let mutants = self.mutants(unary.op.span(), &["UnaryOperator"]);
        if !mutants.is_empty() {
            let (operator, operand) = (self.range(&unary.op), self.range(&unary.expr));
            self.forms(unary, &mutants, |mutant| match mutant {
                Some(mutant) => vec![Part::Text(mutant.replacement.clone()), Part::Source(operand.clone())],
                None => vec![Part::Source(operator.clone()), Part::Source(operand.clone())],
            });
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        let deleted = self.mutants(arm.span(), &["MatchArm"]);
        let guard = arm.guard.as_ref().map(|(_, guard)| guard);
        let replaced = guard.map_or_else(Vec::new, |guard| self.mutants(guard.span(), &["MatchArmGuard"]));
        if !deleted.is_empty() || !replaced.is_empty() {
            self.arm(arm, &deleted, &replaced);
        }
        visit::visit_arm(self, arm);
    }
}

fn active(id: u32) -> String {
    format!("crate::mutant_switch::active({id})")
}

/// Whether an expression is a `let` chain or a part of one.
fn has_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

/// Whether a function returns an `impl Trait`: two `return` of different types would not compile.
fn returns_some_type(signature: &Signature) -> bool {
    struct Finder(bool);
    impl Visit<'_> for Finder {
        fn visit_type_impl_trait(&mut self, _: &TypeImplTrait) {
            self.0 = true;
        }
    }
    let mut finder = Finder(false);
    finder.visit_return_type(&signature.output);
    finder.0
}
