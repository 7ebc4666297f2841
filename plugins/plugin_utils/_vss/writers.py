# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The writers everybody meets: class GUID, name, the service behind each, what to mind.

Names are as writers give them (they are not translated), yet GUIDs are what counts: some writers append an instance to
their name. Sources: Microsoft's documentation of in-box writers and of the applications named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .model import guid, is_guid


@dataclass(frozen=True)
class KnownWriter:
    """A writer of the table. service None: do not restart anything by guess. caution: why not to restart lightly."""

    name: str
    id: str | None
    service: str | None = None
    caution: str = ""


_REBOOT = "restart the host if the writer stays failed"

_TABLE: tuple[tuple[str, str | None, str | None, str], ...] = (
    ("System Writer", "E8132975-6F93-4464-A53E-1050253AE220", "CryptSvc", ""),
    ("WMI Writer", "A6AD56C2-B509-4E6C-BB19-49D8F43532F0", "Winmgmt", "cuts WMI calls that are under way"),
    ("Registry Writer", "AFBAB4A2-367D-4D15-A586-71DBB18F8485", "VSS", ""),
    ("COM+ REGDB Writer", "542DA469-D3E1-473C-9F4F-7847F01FC64F", "VSS", ""),
    ("ASR Writer", "BE000CBE-11FE-4426-9C58-531AA6355FC4", "VSS", ""),
    ("Shadow Copy Optimization Writer", "4DC3BDD4-AB48-4D07-ADB0-3BEE2926FD7F", "VSS", ""),
    ("VSS Metadata Store Writer", "75DFB225-E2E4-4D39-9AC9-FFAFF65DDF06", "VSS", ""),
    ("Performance Counters Writer", "0BADA1DE-01A9-4625-8278-69E735F39DD2", "VSS", _REBOOT),
    ("Task Scheduler Writer", "D61D61C8-D73A-4EEE-8CDD-F6F9786B7124", "VSS", _REBOOT),
    ("BITS Writer", "4969D978-BE47-48B0-B100-F328F07AC1E0", "BITS", ""),
    ("MSSearch Service Writer", "CD3F2362-8BEF-46C7-9181-D62844CDC0B2", "WSearch", ""),
    ("IIS Config Writer", "2A40FD15-DFCA-4AA8-A654-1F8C654603F6", "AppHostSvc", ""),
    ("IIS Metabase Writer", "59B1F0CF-90EF-465F-9609-6CA8B2938366", "IISADMIN", ""),
    ("SqlServerWriter", "A65FAA63-5EA8-4EBC-9DBD-A0C4DB26912A", "SQLWriter", "look at the SQL Server instances too"),
    ("MSDEWriter", "F8544AC1-0611-4FA5-B04B-F7EE00B03277", "VSS", ""),
    ("WIDWriter", "8D5194E1-E455-434A-B2E5-51296CCE67DF", "WIDWriter", ""),
    ("Microsoft Exchange Writer", "76FE1AC4-15F7-4BCD-987E-8E1ACB462FB7", "MSExchangeRepl", "may move databases"),
    ("NTDS", "B2014C9E-8711-4C5C-A5A9-3CF384484757", "NTDS", "takes the domain controller down; prefer a restart"),
    ("ADAM (instance) Writer", "DD846AAA-A1B6-42A8-AAF8-03DCB6114BFD", None, "its service is ADAM_ and the instance"),
    ("ADFS VSS Writer", "772C45F8-AE01-4F94-940C-94961864ACAD", "adfssrv", ""),
    ("AD RMS Writer", "886C43B1-D455-4428-A37F-4D6B9E43F50F", None, ""),
    ("Certificate Authority", "6F5B15B5-DA24-4D88-B737-63063E3A1F86", "CertSvc", ""),
    ("Dhcp Jet Writer", "BE9AC81E-3619-421F-920F-4C6FEA9E93AD", "DHCPServer", ""),
    ("WINS Jet Writer", "F08C1483-8407-4A26-8C26-6C267A629741", "WINS", ""),
    ("DFS Replication service writer", "2707761B-2324-473D-88EB-EB007A359533", "DFSR", ""),
    ("FRS Writer", "D76F5A28-3092-4589-BA48-2958FB88CE29", "NtFrs", ""),
    ("FSRM Writer", "12CE4370-5BB7-4C58-A76A-E5D5097E3674", "srmsvc", ""),
    ("Dedup Writer", "41DB4DBF-6046-470E-8AD5-D5081DFB1B70", "ddpvssvc", ""),
    ("Microsoft Hyper-V VSS Writer", "66841CD4-6DED-4F4B-8F17-FD23F8DDC3DE", "vmms", ""),
    ("Cluster Database", "41E12264-35D8-479B-8E5C-9B23D1DAD37E", "ClusSvc", "fails the node over"),
    ("Cluster Shared Volume VSS Writer", "1072AE1C-E5A7-4EA1-9E4A-6F7964656570", "ClusSvc", "fails the node over"),
    ("MSMQ Writer (MSMQ)", "7E47B561-971A-46E6-96B9-696EEAA53B2A", "MSMQ", ""),
    ("NPS VSS Writer", "35E81631-13E1-48DB-97FC-D5BC721BB18A", "EventSystem", ""),
    ("TermServLicensing", "5382579C-98DF-47A7-AC6C-98A6D7106E09", "TermServLicensing", ""),
    ("TS Gateway Writer", "368753EC-572E-4FC7-B4B9-CCD9BDC624CB", "TSGateway", ""),
    ("WDS VSS Writer", "82CB5521-68DB-4626-83A4-7FC6F88853E9", "WDSServer", ""),
    ("Sync Share Service VSS writer", "D46BF321-FDBA-4A35-8EC3-454DF03BC86A", "SyncShareSvc", ""),
    ("SharePoint Services Writer", "DA452614-4858-5E53-A512-38AAB25C61AD", "SPWriter", ""),
    ("OSearch VSS Writer", None, "OSearch", ""),
    ("OSearch14 VSS Writer", None, "OSearch14", ""),
    ("OSearch15 VSS Writer", None, "OSearch15", ""),
    ("SPSearch VSS Writer", None, "SPSearch", ""),
    ("SPSearch4 VSS Writer", None, "SPSearch4", ""),
    ("SMS Writer", None, "SMS_SITE_VSS_WRITER", ""),
)

WRITERS: tuple[KnownWriter, ...] = tuple(
    KnownWriter(name, guid(number) if number else None, service, caution) for name, number, service, caution in _TABLE
)
BY_ID: Mapping[str, KnownWriter] = {known.id: known for known in WRITERS if known.id}
BY_NAME: Mapping[str, KnownWriter] = {known.name.casefold(): known for known in WRITERS}


def find(name_or_id: str) -> KnownWriter | None:
    """The table's writer of that GUID or name, None when the table does not know it."""
    if is_guid(name_or_id):
        return BY_ID.get(guid(name_or_id))
    return BY_NAME.get(name_or_id.strip().casefold())


def names() -> Iterable[str]:
    """Every name of the table."""
    return (known.name for known in WRITERS)


def matches(wanted: str, writer_id: str, writer_name: str) -> bool:
    """Whether what a user wrote (a name or a GUID) means this writer."""
    if is_guid(wanted):
        return guid(wanted) == writer_id
    return wanted.strip().casefold() == writer_name.strip().casefold()


def remedy(writer_id: str, writer_name: str) -> str:
    """What clears a failure of this writer, as a sentence."""
    known = BY_ID.get(writer_id) or find(writer_name)
    if known is None or known.service is None:
        return f"Restart the service of the application behind {writer_name}, or exclude the writer."
    caution = f" ({known.caution})" if known.caution else ""
    return f"Restart the service {known.service}{caution}, or exclude the writer if its data does not matter."
