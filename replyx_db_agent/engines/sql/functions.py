"""Which functions of PostgreSQL and its common extensions change nothing when they are called."""

from __future__ import annotations

from collections.abc import Iterator

from replyx_db_agent.core.model import AlterOther, HiddenStatement, Operation, SetVariable
from replyx_db_agent.engines.sql.tree import Node, constant, name_of, named, qualified, strings

_PURE = """
abs acos age any_value array_agg array_append array_cat array_dims array_fill array_length
array_lower array_ndims array_position array_positions array_prepend array_remove array_replace
array_sample array_shuffle array_sort array_to_json array_to_string array_upper ascii asin atan
atan2 avg bit_and bit_count bit_length bit_or bit_xor bool_and bool_or btrim cardinality cbrt ceil
ceiling char_length character_length chr clock_timestamp coalesce col_description concat concat_ws
convert convert_from convert_to corr cos cot count covar_pop covar_samp crc32 crc32c cume_dist
current_catalog current_database current_date current_query current_role current_schema
current_schemas current_setting current_timestamp current_user date_add date_bin date_part
date_subtract date_trunc decode degrees dense_rank div encode enum_first enum_last enum_range every
exp extract factorial first_value floor format format_type gamma gcd gen_random_uuid
generate_series generate_subscripts get_bit get_byte greatest grouping has_any_column_privilege
has_column_privilege has_database_privilege has_function_privilege has_schema_privilege
has_sequence_privilege has_table_privilege has_type_privilege host inet_server_addr
inet_server_port initcap isfinite json_agg json_array json_array_elements json_array_elements_text
json_array_length json_build_array json_build_object json_each json_each_text json_extract_path
json_extract_path_text json_object json_object_agg json_object_keys json_populate_record
json_populate_recordset json_strip_nulls json_to_record json_to_recordset json_typeof jsonb_agg
jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array
jsonb_build_object jsonb_each jsonb_each_text jsonb_exists jsonb_exists_all jsonb_exists_any
jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg
jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array
jsonb_path_query_first jsonb_populate_record jsonb_populate_recordset jsonb_pretty jsonb_set
jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof justify_days
justify_hours justify_interval lag last_value lcm lead least left length ln localtime
localtimestamp log log10 lower lower_inc lower_inf lpad ltrim make_date make_interval make_time
make_timestamp make_timestamptz masklen max md5 min min_scale mod mode network now nth_value ntile
nullif num_nonnulls num_nulls numnode obj_description octet_length overlaps overlay parse_ident
percent_rank percentile_cont percentile_disc phraseto_tsquery pi plainto_tsquery point position
pow power quote_ident quote_literal quote_nullable radians random random_normal rank
range_agg range_intersect_agg regexp_count regexp_instr regexp_like regexp_match regexp_matches
regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr regr_slope repeat replace
reverse right round row row_number row_to_json rpad rtrim scale session_user set_bit set_byte
set_masklen setweight sha224 sha256 sha384 sha512 shobj_description sign sin sinh split_part sqrt
starts_with statement_timestamp stddev stddev_pop stddev_samp string_agg string_to_array
string_to_table strip strpos substr substring sum tan tanh text timeofday timezone to_ascii to_char
to_date to_hex to_json to_jsonb to_number to_regclass to_regnamespace to_regproc to_regrole
to_regtype to_timestamp to_tsquery to_tsvector transaction_timestamp translate trim trim_array
trim_scale trunc ts_headline ts_rank ts_rank_cd tsvector_to_array txid_current unistr unnest upper
upper_inc upper_inf user uuidv4 uuidv7 var_pop var_samp variance version websearch_to_tsquery
width_bucket xmlagg
int4range int8range numrange tsrange tstzrange daterange isempty range_merge
cosine_distance inner_product l1_distance l2_distance l2_norm l2_normalize vector_dims vector_norm
binary_quantize subvector hamming_distance jaccard_distance array_to_vector array_to_halfvec
vector_to_float4 similarity word_similarity strict_word_similarity show_trgm unaccent levenshtein
soundex metaphone digest hmac crypt gen_salt gen_random_bytes uuid_generate_v1 uuid_generate_v1mc
uuid_generate_v3 uuid_generate_v4 uuid_generate_v5 uuid_nil hstore akeys avals skeys svals
subpath nlevel lquery ltree2text text2ltree
pg_column_size pg_database_size pg_encoding_to_char pg_get_constraintdef pg_get_expr
pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result
pg_get_functiondef pg_get_indexdef pg_get_keywords pg_get_partkeydef pg_get_ruledef
pg_get_serial_sequence pg_get_statisticsobjdef pg_get_triggerdef pg_get_userbyid pg_get_viewdef
pg_has_role pg_indexes_size pg_is_in_recovery pg_postmaster_start_time pg_relation_size
pg_size_bytes pg_size_pretty pg_stat_get_live_tuples pg_table_is_visible pg_table_size
pg_tablespace_size pg_total_relation_size pg_type_is_visible pg_function_is_visible pg_typeof
pg_backend_pid pg_char_to_encoding pg_partition_tree pg_partition_root pg_partition_ancestors
pg_advisory_xact_lock pg_advisory_lock pg_advisory_unlock pg_try_advisory_lock
pg_try_advisory_xact_lock pg_advisory_unlock_all pg_advisory_xact_lock_shared pg_sleep
pg_current_wal_lsn pg_last_wal_replay_lsn pg_wal_lsn_diff pg_index_column_has_property
currval lastval
"""
_CASTS = """
int2 int4 int8 float4 float8 bool numeric varchar bpchar date time timetz timestamp timestamptz
interval uuid json jsonb bytea inet cidr vector halfvec sparsevec citext ltree box circle line lseg
path polygon oid regclass regtype
"""
_HARMLESS = frozenset(f"{_PURE} {_CASTS}".split())


def effects_of_calls(tree: Node) -> Iterator[Operation]:
    """Yield what the function calls in a tree may do, each function once."""
    seen: set[Operation] = set()
    for call in named(tree, "FuncCall"):
        for operation in _effect(call):
            if operation not in seen:
                seen.add(operation)
                yield operation


def _effect(call: Node) -> Iterator[Operation]:
    """Yield what one call may do; nothing for a function known to change nothing."""
    parts = strings(call.funcname)
    name = parts[-1]
    if parts[:-1] not in ([], ["pg_catalog"], ["public"], ["extensions"]):
        yield HiddenStatement(f"function {qualified(parts)}")
    elif name in ("setval", "nextval"):
        sequence = constant(call.args[0]) if call.args else None
        yield AlterOther(name, name=sequence)
    elif name == "set_config":
        yield _set_config(call)
    elif name not in _HARMLESS:
        yield HiddenStatement(f"function {name}")


def _set_config(call: Node) -> Operation:
    """Read `set_config('name', 'value', is_local)`: a SET in other words."""
    values = [constant(argument) for argument in call.args]
    if len(values) != 3 or values[0] is None:
        return HiddenStatement("function set_config")
    return SetVariable(values[0], values[1], values[2] in ("true", "t", "on", "1"))


def called(call: Node) -> str:
    """Return the name of the function or procedure a call names."""
    return qualified(name_of(part) for part in call.funcname)
