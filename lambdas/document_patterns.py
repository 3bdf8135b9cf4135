"""What the documents accept, as in ssm_documents/*/document.yaml (a test compares them).

A wrong value in the settings is refused at synthesis, one in an execution's input before anything is created.
"""

MOUNT_POINT = r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}){1,8}$"
_SIZE = "[1-9][0-9]{0,5}[KMGT]"
_RANGE = f"(0|{_SIZE})-({_SIZE})?:{_SIZE}"
# auto · 256M · 256M@16M · 512M,high · 512M,high 72M,low · 1G-4G:192M,4G-:256M
CRASHKERNEL = rf"^(auto|{_SIZE}(@{_SIZE})?|{_SIZE},high( {_SIZE},low)?|{_RANGE}(,{_RANGE}){{0,9}}(@{_SIZE})?)$"
CORE_COLLECTOR = r"^makedumpfile( [A-Za-z0-9=._,:-]{1,64}){0,16}$"
