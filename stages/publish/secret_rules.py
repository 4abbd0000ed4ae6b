"""Names of files that hold secrets, and forms of secrets that Kingfisher's rules let pass in some surroundings.

Those want a token's exact length, its entropy, a boundary before it, or its other half nearby.

Source: the vendors' pages for the forms of tokens; for keys in DER, RFC 5958 and 8018 (PKCS #8 and #5), 8017 (RSA),
5915 (elliptic curves), 8410 (Ed25519) and 7292 (PKCS #12).
"""

import re
from collections.abc import Mapping

FOLDERS = {".aws", ".azure", ".docker", ".gcloud", ".gnupg", ".kube", ".ssh", ".terraform.d"}
NAMES = (
    *(".env", ".env.*", "*.env", "*.envrc", ".envrc.*", "[._]netrc", "netrc", ".npmrc", ".yarnrc*", ".pypirc"),
    *(".pgpass", ".htpasswd", "*.htpasswd", "htpasswd", ".git-credentials", ".my.cnf", ".s3cfg", ".boto", ".dockercfg"),
    *("*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.pkcs12", "*.jks", "*.jceks", "*.keystore", "*.kdb", "*.kdbx"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.ppk", "*.ovpn", "*.keytab", "*.agekey", "secring.*"),
    *("*.tfstate", "*.tfstate.*", "*.tfvars", "*.tfvars.json", ".terraformrc", "terraform.rc", "*.tfrc.json"),
    *("credentials", "credentials.*", "*[-_.]credentials", "*[-_.]credentials.*", "client_secret*.json"),
    *(".dockerconfigjson", "secret", "secret.*", "secrets", "secrets.*", ".secret", ".secrets"),
    *("service[-_]account*.json", "*[-_]service[-_]account.json"),
    *("token", "token.*", "*.token", "*[-_]token", "*[-_]token.txt", "stored_tokens", ".vault-token", "kubeconfig"),
    *("password", "password.txt", "passwords", "passwords.*", "api[-_]key", "api[-_]key.*", "*[-_]api[-_]key.txt"),
    *(
        "access[-_]key*.csv",
        "*.kubeconfig",
        ".*_history",
        "*private[-_]key",
        "*private[-_]key.txt",
        "secret[-_]key.txt",
    ),
    *(".vault_pass*", ".password", "passwd", "kaggle.json", "rclone.conf", "serviceaccountkey.json"),
)
BACKUPS = re.compile(r"(?:~|\.(?:bak|backup|old|orig|save|swp|tmp|[0-9]))+$")  # endings of copies of a file
HARMLESS = ("*.example", "*.sample", "*.template", "*.pub", "*.py")  # whose content is searched all the same

_SIZE = rb"(?:\x82..|\x81.|[\x03-\x7f])"  # of a value in DER
_OID = (  # of an algorithm: RSA, DSA, of elliptic curves
    rb"\x06(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01[\x01\x03].|\x07\x2a\x86\x48\xce(?:\x3d\x02\x01|\x38\x04\x01)"
    rb"|\x03\x2b\x65[\x6e-\x71])"
)
_CIPHER = (  # of an encrypted key
    rb"\x06(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05[\x01-\x0d]|\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01[\x01-\x06])"
)
_PKCS8 = rb"\x30" + _SIZE + rb"\x02\x01[\0\1]\x30" + _SIZE + _OID
_ENCRYPTED = rb"\x30" + _SIZE + rb"\x30" + _SIZE + _CIPHER
_RSA = rb"\x30" + _SIZE + rb"\x02\x01[\0\1]\x02(?:\x82[\0-\x08].|\x81[\x80-\xff]|[\x40-\x7f])\0[\x80-\xff]"
_CURVE = rb"\x30" + _SIZE + rb"\x02\x01\x01\x04[\x1c\x20\x30\x42]"
_PKCS12 = rb"\x30\x82..\x02\x01\x03\x30" + _SIZE + rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"

_FORMS: Mapping[str, bytes] = {
    "a token of the Hub": rb"(?:hf_(?:oauth_|jwt_)?|api_org_)[A-Za-z0-9]{20,}",
    "a token of GitHub": rb"(?:gh[oprsu]_[A-Za-z0-9]{30}|github_pat_\w{20})\w*",
    "a key of Google": rb"(?:AIza[\w-]{30}|GOCSPX-[\w-]{20}|ya29\.[\w-]{20}|1//0[\w-]{40}|AQ\.Ab8[\w-]{30})[\w-]*",
    "a key of AWS": rb"A(?:KI|SI|BI|CC)A(?:(?<![A-Za-z0-9]....)[A-Z0-9]{16}"
    rb"|(?<=A[KS]IA)(?=[A-Z]*[2-7])[A-Z2-7]{16})(?![A-Za-z0-9])"
    rb"|(?i:secret_?access_?key|aws[\w.-]{0,20}(?:key|secret|token|pw|pass))[^A-Za-z0-9/+\n]{1,8}"
    rb"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
    "a key of Anthropic": rb"sk-ant-[A-Za-z0-9]+-[\w-]{20,}",
    "a key of OpenAI": rb"sk-(?:(?:proj|svcacct|admin|None)-[\w-]{20,}|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]*"
    rb"|(?<![A-Za-z0-9]sk-)[A-Za-z0-9]{32,})",
    "a key of Azure": rb"(?i:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,}",
    "a token of Telegram": rb"(?<![0-9])[0-9]{8,10}:AA[\w-]{33}",
    "a token of Discord": rb"(?<![\w+/=.-])[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27,}",
    "a key of Tailscale": rb"tskey-[a-z]+-[A-Za-z0-9-]{20,}",
    "a password in an address": rb"://[^\s:/?#@'\"{}<>$\\]+:(?![*%]+@)[^\s/@'\"{}<>$\\]{3,}@",
    "a password in Docker's settings": rb'"auths"\s*:\s*\{.{0,4096}?"(?:auth|password|identitytoken|registrytoken)"'
    rb'\s*:\s*"[^"]+"',
    "a private key": rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|---- BEGIN SSH2 ENCRYPTED PRIVATE[ ]KEY"
    rb"|PuTTY-User-Key-File-[0-9]|openssh-key-v1\0|AGE-SECRET-KEY-1[0-9A-Z]{20}",
    "a private key in DER": rb"|".join((_PKCS8, _ENCRYPTED, _RSA, _CURVE)),
    "a store of keys": rb"\A(?:\xfe\xed|\xce\xce){2}\0\0\0|" + _PKCS12,
}
# Of tokens that may follow any letters, as in a database: behind so many they are chance, in data of letters.
NOISE = re.compile(rb"[\w\0\r\n-]{39}[A-Za-z0-9]")  # in lines or not
NOISE_LETTERS = 40
FORMS: Mapping[str, re.Pattern[bytes]] = {what: re.compile(form, re.DOTALL) for what, form in _FORMS.items()}
