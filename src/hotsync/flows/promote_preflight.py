"""What is read before a promotion is claimed, to say what speaks for or against it."""

from __future__ import annotations

from functools import partial

from hotsync.engine.promotion.host import PromotionParts
from hotsync.engine.promotion.loads import (
    extensions_lacking,
    libraries_lacking,
    loads,
    locales_lacking,
    locales_of_databases,
    servers_lacking,
    servers_newer,
)
from hotsync.engine.promotion.master_facts import dumps_fault, facts_fault, rules_fault, spool_of_tree
from hotsync.engine.promotion.plain_postgresql import plain_extensions_lacking, plain_lacking
from hotsync.engine.promotion.room import room_missing
from hotsync.engine.standby.warm import bytes_left
from hotsync.flows import promote_look as look
from hotsync.model.promotion import ETC, How, Promotion
from hotsync.planning.exchange import Layout
from hotsync.planning.preflight import NetworkFound, PreflightFacts
from hotsync.state import store


def read_preflight(
    parts: PromotionParts,
    promotion: Promotion,
    layout: Layout,
    network: NetworkFound,
    *,
    asked: bool,
) -> PreflightFacts:
    """Read what speaks for or against a promotion that would be claimed now; `asked`: a person wants it.

    Whether the MASTER lives is not asked: that takes its time, in which this is read.
    """
    paths, ground, plan = parts.paths, parts.ground, promotion.network
    dumps = tuple(dump for dump in ground.master.dumps if dump.name not in promotion.without)
    libraries, other_libraries = libraries_lacking(paths, spool_of_tree(paths), dumps)
    return PreflightFacts(
        store.load_role(paths),
        promotion.generation,
        slave_ran=True,
        planned=promotion.planned,
        data_age=promotion.started_at - promotion.confirmed_at,
        blocked=layout.blocked,
        etc_missing=not (ground.tree / ETC / "passwd").is_file(),
        etc_mounts=tuple(sorted(f"/{path}" for path in ground.mounts if path.startswith(f"{ETC}/"))),
        immutable=look.immutable_paths(paths, promotion),
        copied=tuple(f"/{unit.path}" for unit in layout.units if unit.how is How.COPY),
        room_missing=room_missing(paths, promotion, loads(ground.tree, dumps, partial(bytes_left, paths))),
        network=network,
        dumps_fault=dumps_fault(paths),
        servers_lacking=(
            *servers_lacking(dumps),
            *plain_lacking(paths, ground.tree, spool_of_tree(paths), dumps),
        ),
        servers_newer=servers_newer(dumps),
        nodes_differing=look.nodes_differing_here(ground, plan),
        locales_lacking=locales_lacking(paths, locales_of_databases(ground.tree, spool_of_tree(paths), dumps)),
        extensions_lacking=(
            *extensions_lacking(spool_of_tree(paths), dumps, promotion.without),
            *plain_extensions_lacking(spool_of_tree(paths), dumps),
        ),
        libraries_lacking=tuple(libraries),
        other_libraries_lacking=tuple(other_libraries),
        rules_fault=rules_fault(paths),
        facts_fault=facts_fault(paths),
        packages_missing=look.packages_missing(paths) if asked else (),  # hotsync-slave has its own words for it
        own_data=look.own_data(paths, promotion.data_of),
        wrong_settings=look.wrong_settings(paths),
        disks=ground.own_disks.found({unit.path for unit in layout.units}),
    )
