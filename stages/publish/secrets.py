"""What looks like a secret, by its name or by what is in it, isn't published."""

import re
from fnmatch import fnmatch
from pathlib import Path

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

_NAMES = (
    *(".env", ".env.*", "*.env", ".netrc", ".npmrc", ".pypirc", ".pgpass", ".htpasswd", ".git-credentials"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "id_rsa*", "id_dsa*", "id_ecdsa*"),
    *("id_ed25519*", "credentials", "credentials.*", "secret.*", "secrets.*", "service[-_]account*.json", "kubeconfig"),
    *("token", "*.token", "stored_tokens"),
)
_HARMLESS = ("*.example", "*.sample", "*.template", "*.pub", "*.py")  # whose content is looked at all the same
_FOLDERS = {".aws", ".ssh", ".gnupg", ".docker", ".kube"}
_HUB_TOKEN = re.compile(rb"\bhf_[A-Za-z0-9]{20,}\b")
_ALLOWED = b"pragma: allowlist secret"  # as the detectors have it, on the line

# Keys that are recognised by a pattern; not by entropy or by a variable's name: these are often none.
_DETECTORS = (
    *("ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "CloudantDetector"),
    *("DiscordBotTokenDetector", "GitHubTokenDetector", "GitLabTokenDetector", "IbmCloudIamDetector", "NpmDetector"),
    *("IbmCosHmacDetector", "JwtTokenDetector", "MailchimpDetector", "OpenAIDetector", "PrivateKeyDetector"),
    *("PypiTokenDetector", "SendGridDetector", "SlackDetector", "SoftlayerDetector", "SquareOAuthDetector"),
    *("StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector"),
)


def looks_secret(root: Path, name: str) -> str | None:
    """Return why a file of a folder looks like a secret, in words without any of it; None where it doesn't."""
    *folders, last = name.split("/")
    is_harmless = any(fnmatch(last, pattern) for pattern in _HARMLESS)
    if _FOLDERS.intersection(folders) or (not is_harmless and any(fnmatch(last.lower(), name) for name in _NAMES)):
        return "by its name"
    for number, line in enumerate((root / name).read_bytes().splitlines(), 1):
        if _HUB_TOKEN.search(line) and _ALLOWED not in line:
            return f"a token of the Hub in line {number}"
    found = SecretsCollection(str(root))
    with transient_settings({"plugins_used": [{"name": detector} for detector in _DETECTORS]}):
        found.scan_file(name)
    return next((f"{secret.type} in line {secret.line_number}" for _, secret in found), None)
