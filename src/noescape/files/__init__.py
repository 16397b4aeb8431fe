"""Files that survive a kill and stay in their folder; knows nothing of images."""

from noescape.files.atomic import (
    dump_json,
    remove_parts,
    write_bytes,
    write_json,
    write_text,
    write_with,
)
from noescape.files.clock import clock_is_stopped, utc_stamp
from noescape.files.digest import sha256_file, sha256_named
from noescape.files.jsonfile import read_json_object
from noescape.files.jsonl import JsonlAppender, dump_row, read_jsonl, write_jsonl
from noescape.files.one_at_a_time import check_folder, one_at_a_time
from noescape.files.paths import contained, safe_name
from noescape.files.table import plain_text, read_csv, safe_cell, write_csv
from noescape.files.yamlfile import YamlError, dump_yaml, load_yaml, parse_yaml, parse_yaml_lines

__all__ = [
    "JsonlAppender",
    "YamlError",
    "check_folder",
    "clock_is_stopped",
    "contained",
    "dump_json",
    "dump_row",
    "dump_yaml",
    "load_yaml",
    "one_at_a_time",
    "parse_yaml",
    "parse_yaml_lines",
    "plain_text",
    "read_csv",
    "read_json_object",
    "read_jsonl",
    "remove_parts",
    "safe_cell",
    "safe_name",
    "sha256_file",
    "sha256_named",
    "utc_stamp",
    "write_bytes",
    "write_csv",
    "write_json",
    "write_jsonl",
    "write_text",
    "write_with",
]
