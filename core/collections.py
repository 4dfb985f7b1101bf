"""The collections that core keeps for every service, each declared by the part of core that owns it."""

from core.audit.records import AUDIT_LOG
from core.jobs.records import JOB_INDEX, JOBS
from core.quotas.policies import QUOTA_POLICIES
from core.storage.closed_projects import CLOSED_PROJECTS
from core.storage.tenant_registry import TENANTS

CORE_COLLECTIONS = (TENANTS, CLOSED_PROJECTS, JOB_INDEX, JOBS, AUDIT_LOG, QUOTA_POLICIES)
