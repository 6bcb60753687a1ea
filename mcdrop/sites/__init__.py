"""Where masks enter a model: finding the sites, intercepting them, choosing among them."""

from mcdrop.sites.audit_table import Audit as Audit
from mcdrop.sites.audit_table import audit as audit
from mcdrop.sites.containers import advice as advice
from mcdrop.sites.containers import opened as opened
from mcdrop.sites.discovery import discover as discover
from mcdrop.sites.drawn import RandomCall as RandomCall
from mcdrop.sites.insertion import insert as insert
from mcdrop.sites.intercept import Interception as Interception
from mcdrop.sites.operations import Call as Call
from mcdrop.sites.randomness import devices_of as devices_of
from mcdrop.sites.randomness import preserved_randomness as preserved_randomness
from mcdrop.sites.rows import RowAxis as RowAxis
from mcdrop.sites.rows import close as close
from mcdrop.sites.rows import count_rows as count_rows
from mcdrop.sites.rows import finest as finest
from mcdrop.sites.rows import first_rows as first_rows
from mcdrop.sites.select import Named as Named
from mcdrop.sites.select import Sites as Sites
from mcdrop.sites.shadow import Shadow as Shadow
from mcdrop.sites.site import Discovery as Discovery
from mcdrop.sites.site import Site as Site
from mcdrop.sites.sizes import Sizes as Sizes
from mcdrop.sites.switch import Switch as Switch
from mcdrop.sites.waiting import wakes as wakes
