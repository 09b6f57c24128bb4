"""docs/api.yaml before answers of a running graymeshd: whether each has what is described, and nothing else."""

import json
import pathlib
import re

import jsonschema
import yaml

# docs/schemas say themselves where other fields are a fault.
OF_A_FILE = "x-of-a-file"
DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"


def _closed(schema):
    """Where fields are described, others are a fault. allOf is one object: closed as a whole."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict) or OF_A_FILE in schema:
        return schema
    out = {name: value if name in ("enum", "required") else _closed(value) for name, value in schema.items()}
    if "allOf" in out:
        out["allOf"] = [_opened(one) for one in out["allOf"]]
        out["unevaluatedProperties"] = False
    elif "properties" in out and isinstance(out["properties"], dict) and "additionalProperties" not in out:
        out["unevaluatedProperties"] = False
    return out


def _opened(schema):
    return {name: value for name, value in schema.items()
            if not (name in ("unevaluatedProperties", "additionalProperties") and value is False)}


class Description:
    def __init__(self):
        self.whole = yaml.safe_load((DOCS / "api.yaml").read_text())
        self.visited = set()  # (method, path of the description)
        self.validators = {}

    def _resolved(self, node):
        if isinstance(node, list):
            return [self._resolved(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "$ref" not in node:
            return {name: self._resolved(value) for name, value in node.items()}
        to = node["$ref"]
        if not to.startswith("#/"):
            return {OF_A_FILE: to, **json.loads((DOCS / to).read_text())}
        found = self.whole
        for step in to[2:].split("/"):
            found = found[step]
        return self._resolved(found)

    def schema_of(self, name):
        return self._resolved({"$ref": f"#/components/schemas/{name}"})

    def _validator(self, key, schema):
        if key not in self.validators:
            self.validators[key] = jsonschema.Draft202012Validator(_closed(schema))
        return self.validators[key]

    def faults_of(self, name, value):
        """What is wrong with `value` as a schema of components has it, one line each."""
        return _lines(self._validator(name, self.schema_of(name)), value)

    def faults(self, method, path, status, answer):
        """What is wrong with an answer, one line each. `status` 200 or one of an error."""
        described = self._path(path.partition("?")[0])
        if described is None or method.lower() not in self.whole["paths"][described]:
            return [f"{method} {path} is not described"]
        self.visited.add((method, described))
        responses = self.whole["paths"][described][method.lower()]["responses"]
        response = self._resolved(responses["200" if status == 200 else "default"])
        kind = "application/json" if status == 200 else "application/problem+json"
        return _lines(self._validator((method, described, kind), response["content"][kind]["schema"]), answer)

    def _path(self, path):
        for described in self.whole["paths"]:
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", described), path):
                return described
        return None


def _lines(validator, value):
    out = []
    for fault in validator.iter_errors(value):
        # Of alternatives the nearest one says more than that none fits.
        near = jsonschema.exceptions.best_match([fault])
        out.append(f"/{'/'.join(map(str, near.absolute_path))}: {near.message[:300]}")
    return out
