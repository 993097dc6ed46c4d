"""Translates PTX, as nvcc emits it for the kernels, to C++ that runs one thread of a kernel.

A register is a variable, an instruction a statement, a memory access a call of ptx_host.h. Unknown
instructions are refused by name (`NotKnownError`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

TYPES = {
    **{f"u{n}": f"uint{n}_t" for n in (8, 16, 32, 64)},
    **{f"b{n}": f"uint{n}_t" for n in (8, 16, 32, 64)},
    **{f"s{n}": f"int{n}_t" for n in (8, 16, 32, 64)},
    "f32": "float",
    "f16": "uint16_t",
    "pred": "bool",
}
UNSIGNED = {
    kind: f"uint{kind[1:]}_t"
    for kind in ("s16", "u16", "b16", "s32", "u32", "b32", "s64", "u64", "b64")
}
WIDE = {"s16": "int32_t", "u16": "uint32_t", "s32": "int64_t", "u32": "uint64_t"}
REGISTERS = {"%r": "R", "%rd": "RD", "%f": "F", "%rs": "RS", "%p": "P"}
COMPARE = {
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "eq": "==",
    "ne": "!=",
    "lo": "<",
    "ls": "<=",
    "hi": ">",
    "hs": ">=",
}
UNORDERED = {
    "leu": ">",
    "ltu": ">=",
    "gtu": "<=",
    "geu": "<",
    "equ": "!=",
    "neu": "==",
}  # what must not hold
ENTRY = re.compile(
    r"\.entry\s+(\w+)\((.*?)\)\s*(?:\.(?:maxntid|minnctapersm|reqntid)[^{]*)?\{\n(.*?)\n\}\n",
    re.DOTALL,
)
PARAMETER = re.compile(r"\.param\s+(?:\.align \d+ )?\.(\w+)\s+(?:\.ptr[^,]*?)?(\w+)(?:\[(\d+)\])?")


class NotKnownError(Exception):
    """An instruction or operand that no kernel had so far; add it here."""


def ptx_of_object(path: Path) -> Iterator[str]:
    """The PTX texts in an object that nvcc wrote with -no-compress."""
    data = path.read_bytes()
    at = data.find(b".version ")
    if at < 0:
        raise NotKnownError(
            f"{path} holds no PTX as text; compile it with -no-compress for a virtual architecture"
        )
    while at >= 0:
        end = data.find(b"\0", at)
        yield data[at:end].decode("ascii").rstrip() + "\n"
        at = data.find(b".version ", end)


class Kernel:
    """One .entry of a PTX text."""

    def __init__(self, name: str, head: str, body: str, shared: set[str]) -> None:
        self.name, self.shared, self.instructions = name, shared, 0
        self.parameters = [
            (m[2], int(m[3]) if m[3] else int(m[1][1:]) // 8) for m in PARAMETER.finditer(head)
        ]
        self.operations: Counter[str] = Counter()
        local = re.search(r"\.local\s+\.align \d+\s+\.b8\s+\w+\[(\d+)\];", body)
        self.local_bytes = int(local[1]) if local else 0
        self.code = "\n".join([*self._declarations(body), *self._statements(body)])

    def _declarations(self, body: str) -> Iterator[str]:
        for kind, prefix, count in re.findall(r"\.reg\s+\.(\w+)\s+(%\w+?)<(\d+)>;", body):
            if prefix not in REGISTERS:
                raise NotKnownError(f"registers {prefix} of type {kind}")
            names = ", ".join(f"{REGISTERS[prefix]}{i}{{}}" for i in range(int(count)))
            yield f"  {TYPES[kind]} {names};"
        yield "  uint64_t SP{}, SPL{};"
        if self.local_bytes:
            yield f"  alignas(16) unsigned char local[{self.local_bytes}];"
            yield "  memset(local, 0xA5, sizeof local);"

    def _statements(self, body: str) -> Iterator[str]:
        text = re.sub(r"//[^\n]*", "", body)
        text = re.sub(r"(?m)^\s*\.(reg|local|shared)\s[^;]*;|\.pragma[^;]*;", "", text)
        parts = re.split(
            r"(;|:(?=\s))", text
        )  # a label ends in a colon, an instruction in a semicolon
        for part, end in zip(parts[::2], [*parts[1::2], ""], strict=False):
            statement = part.strip()
            while statement.startswith("}") or (
                statement.startswith("{") and not statement.startswith("{%")
            ):
                statement = statement[1:].strip()
            if statement:
                yield (
                    f" {label(statement)}:;" if end == ":" else "  " + self._instruction(statement)
                )

    def _instruction(self, text: str) -> str:
        guard = re.match(r"@(!?)(%p\d+)\s+(.*)", text, re.DOTALL)
        condition = f"if ({guard[1]}{self.operand(guard[2])}) " if guard else ""
        operation, _, rest = (guard[3] if guard else text).replace("\t", " ").partition(" ")
        number, self.instructions = self.instructions, self.instructions + 1
        self.operations[operation] += 1
        return f"COUNT({number}); {condition}{{ {self._effect(operation, split(rest), number)} }}"

    def operand(self, text: str) -> str:
        text = text.strip()
        if text.startswith("-%"):
            return "-" + self.operand(text[1:])
        if found := re.fullmatch(r"%(tid|ntid|ctaid|nctaid)\.([xyz])", text):
            return f"t.{found[1]}.{found[2]}"
        if text in ("%SP", "%SPL"):
            return text[1:]
        if (found := re.fullmatch(r"(%[a-z]+)(\d+)", text)) and found[1] in REGISTERS:
            return REGISTERS[found[1]] + found[2]
        if found := re.fullmatch(r"0f([0-9A-Fa-f]{8})", text):
            return f"bits_f32(0x{found[1]}u)"
        if re.fullmatch(r"-?\d+", text):
            value = int(text)
            return text if -(2**31) < value < 2**31 else text + ("LL" if value < 2**63 else "ULL")
        if re.fullmatch(r"0x[0-9A-Fa-f]+", text):
            return text + "ULL"
        if text.startswith("__local_depot"):
            return "(uint64_t)(uintptr_t)local"
        if text in self.shared:
            return "0u"  # offset in the block's shared memory, of which a kernel has one array
        raise NotKnownError(f"operand {text}")

    def _effect(self, operation: str, given: list[str], number: int) -> str:  # noqa: C901
        words = operation.split(".")
        verb, kind = words[0], words[-1]
        if verb == "bra":
            return f"goto {label(given[0])};"
        if verb == "ret":
            return "return;"
        if verb in ("bar", "barrier"):
            return f"t.barrier({number});"
        if verb in ("ld", "st", "ldu"):
            return self._memory(words, given, number)
        a = [self.operand(text) for text in given]
        out = a[0] + "="
        if verb == "mov":
            return f"{out}{a[1]};" if kind == "f32" else f"{out}({TYPES[kind]})({a[1]});"
        if verb == "cvta":
            return f"{out}{a[1]};"
        if verb == "cvt":
            return self._conversion(words, out, a[1], number)
        if kind == "f32" and (effect := float_effect(words, out, a)):
            return effect
        if kind in UNSIGNED and (effect := integer_effect(words, out, a, number)):
            return effect
        if verb in ("and", "or", "xor"):
            sign = {"and": "&", "or": "|", "xor": "^"}[verb]
            return f"{out}({TYPES[kind]})({a[1]}){sign}({TYPES[kind]})({a[2]});"
        if verb == "not":
            return f"{out}{'!' if kind == 'pred' else '~'}({TYPES[kind]})({a[1]});"
        if verb == "selp":
            return f"{out}{a[3]}?({TYPES[kind]})({a[1]}):({TYPES[kind]})({a[2]});"
        if operation == "prmt.b32":
            return f"{out}permute_bytes({a[1]},{a[2]},{a[3]});"
        if verb == "setp" and len(a) == 3:
            x, y = (f"({TYPES[kind]})({text})" for text in a[1:])
            if words[1] in COMPARE:
                return f"{out}{x}{COMPARE[words[1]]}{y};"
            if words[1] in ("equ", "neu"):
                sign = "==" if words[1] == "equ" else "!="
                return f"{out}std::isnan({x})||std::isnan({y})||({x}{sign}{y});"
            if words[1] in UNORDERED:  # true where one is not a number
                return f"{out}!({x}{UNORDERED[words[1]]}{y});"
        raise NotKnownError(f"{operation} {', '.join(given)}")

    def _memory(self, words: list[str], given: list[str], number: int) -> str:
        kind, is_load = words[-1], words[0] != "st"
        count = 2 if "v2" in words else 4 if "v4" in words else 1
        size = int(kind[1:]) // 8
        value, place = given if is_load else reversed(given)
        found = re.fullmatch(r"\[([%\w]+)(?:\+(-?\d+))?\]", place)
        if found is None:
            raise NotKnownError(f"address {place}")
        base, offset = found[1], int(found[2] or 0)
        names = (
            [self.operand(text) for text in value.strip("{}").split(",")]
            if count > 1
            else [self.operand(value)]
        )
        space = next(
            (word for word in words if word in ("param", "global", "shared", "local")), "generic"
        )
        if space == "param":
            index = [name for name, _ in self.parameters].index(base)
            begin = f"const char* q = (const char*)args[{index}]+{offset};"
        else:
            width = "uint32_t" if space == "shared" else "uint64_t"
            verb = "load" if is_load else "store"
            address = f"({width}){self.operand(base)}+({offset})"
            begin = f"char* q = t.{space}_{verb}({address},{size * count},{number});"
        if is_load:
            moves = (
                f"{{{TYPES[kind]} v; memcpy(&v,q+{i * size},{size}); {name}=v;}}"
                for i, name in enumerate(names)
            )
        else:
            moves = (
                f"{{{TYPES[kind]} v=({TYPES[kind]}){name}; memcpy(q+{i * size},&v,{size});}}"
                for i, name in enumerate(names)
            )
        return begin + "".join(moves)

    def _conversion(self, words: list[str], out: str, x: str, number: int) -> str:
        to, origin = words[-2:]
        if (to, origin) == ("f32", "f16"):
            return f"{out}half_to_float({x});"
        if (to, origin) == ("f16", "f32") and "rn" in words:
            return f"{out}float_to_half({x});"
        if to == "f32" and origin != "f32" and "rn" in words:
            return f"{out}(float)({TYPES[origin]})({x});"
        if words == ["cvt", "sat", "f32", "f32"]:
            return f"{out}fminf(fmaxf({x},0.0f),1.0f);"  # NaN becomes 0, as in PTX
        if origin == "f32" and to == "s32" and "rzi" in words:
            return f"{out}t.to_int({x},{number});"
        if "f32" not in (to, origin) and "f16" not in (to, origin):
            return f"{out}({TYPES[to]})({TYPES[origin]})({x});"
        raise NotKnownError(".".join(words))


def label(text: str) -> str:
    return text.strip().replace("$", "S_")


def split(rest: str) -> list[str]:
    """Operands between commas that stand in no bracket."""
    return [part.strip() for part in re.split(r",(?![^{\[]*[}\]])", rest) if part.strip()]


def float_effect(words: list[str], out: str, a: list[str]) -> str:
    """Arithmetic with one IEEE rounding; approximations and flushed denormals are not known."""
    verb = words[0]
    if "ftz" in words or "approx" in words or "sat" in words:
        raise NotKnownError(".".join(words))
    if verb in ("add", "sub", "mul", "div"):
        sign = {"add": "+", "sub": "-", "mul": "*", "div": "/"}[verb]
        return f"{out}{a[1]}{sign}{a[2]};"
    if verb == "fma":
        return f"{out}fmaf({a[1]},{a[2]},{a[3]});"
    if verb in ("max", "min"):
        return f"{out}f{verb}f({a[1]},{a[2]});"
    one = {"rcp": "1.0f/{}", "sqrt": "sqrtf({})", "neg": "-({})", "abs": "fabsf({})"}.get(verb)
    return f"{out}{one.format(a[1])};" if one else ""


def integer_effect(words: list[str], out: str, a: list[str], number: int) -> str:
    verb, kind = words[0], words[-1]
    signed, unsigned, bits = TYPES[kind], UNSIGNED[kind], int(kind[1:])
    if verb in ("add", "sub"):
        return f"{out}({unsigned})({a[1]}){'+' if verb == 'add' else '-'}({unsigned})({a[2]});"
    if verb in ("mul", "mad"):
        plus = f"+({{}})({a[3]})" if verb == "mad" else ""
        if "wide" in words:
            wide = WIDE[kind]
            to = UNSIGNED["s64"] if bits == 32 else "uint32_t"
            product = f"({wide})({signed})({a[1]})*({wide})({signed})({a[2]})"
            return f"{out}({to})({product}{plus.format(wide)});"
        if "hi" in words and bits == 32:
            wide = WIDE[kind]
            product = f"({wide})({signed})({a[1]})*({wide})({signed})({a[2]})"
            return f"{out}(uint32_t)(({product})>>32){plus.format(unsigned)};"
        if "lo" in words:
            return f"{out}({unsigned})({a[1]})*({unsigned})({a[2]}){plus.format(unsigned)};"
    if verb in ("div", "rem"):
        sign = "/" if verb == "div" else "%"
        return f"t.nonzero({a[2]},{number}); {out}({signed})({a[1]}){sign}({signed})({a[2]});"
    if verb in ("max", "min"):
        return f"{out}std::{verb}(({signed})({a[1]}),({signed})({a[2]}));"
    if verb == "neg":
        return f"{out}-({signed})({a[1]});"
    if verb == "abs":
        return f"{out}std::abs(({signed}){a[1]});"
    if verb == "shl":  # all bits are out where it is shifted by as many or more
        return f"{out}((uint32_t)({a[2]})>={bits}u)?0:({unsigned})({a[1]})<<({a[2]});"
    if verb == "shr" and kind[0] == "s":
        return f"{out}({signed})({a[1]})>>std::min<uint32_t>({a[2]},{bits - 1});"
    if verb == "shr":
        return f"{out}((uint32_t)({a[2]})>={bits}u)?0:({signed})({a[1]})>>({a[2]});"
    return ""


def translate(texts: Iterable[str]) -> str:
    """One C++ file with every kernel of the PTX texts, and a table of them."""
    out, table = ['#include "ptx_host.h"', ""], []
    for text in texts:
        shared = set(re.findall(r"\.shared[^;]*?\.b8\s+(\w+)\[", text))
        for name, head, body in ENTRY.findall(text):
            kernel, i = Kernel(name, head, body, shared), len(table)
            sizes = ",".join(str(size) for _, size in kernel.parameters)
            out.append(f"static void k{i}(Thread& t, void* const* args) {{\n{kernel.code}\n}}")
            out.append(f"static const int k{i}_sizes[] = {{{sizes}}};")
            barriers = sum(
                n for name, n in kernel.operations.items() if name.startswith(("bar.", "barrier."))
            )
            table.append(
                f'  {{"{kernel.name}", k{i}, {len(kernel.parameters)}, k{i}_sizes, {barriers}}},'
            )
    if not table:
        raise NotKnownError("no kernel in the PTX")
    out.append('extern "C" const KernelEntry ptx_kernels[] = {\n' + "\n".join(table) + "\n};")
    out.append(f'extern "C" const int ptx_kernel_count = {len(table)};\n')
    return "\n".join(out)
