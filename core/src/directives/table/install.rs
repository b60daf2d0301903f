//! Directives of `[Install]` (`systemd.unit(5)`).
use super::prelude::*;

rows! { from super::kill::END;
    INSTALL_ALIAS = INSTALL, "Alias", Install, Unset, Install, "OTHER";
    WANTED_BY = INSTALL, "WantedBy", Install, Unset, Install, "OTHER";
    REQUIRED_BY = INSTALL, "RequiredBy", Install, Unset, Install, "OTHER";
    UPHELD_BY = INSTALL, "UpheldBy", Install, Unset, Install, "OTHER";
    ALSO = INSTALL, "Also", Install, Unset, Install, "OTHER";
    DEFAULT_INSTANCE = INSTALL, "DefaultInstance", Install, Unset, Install, "OTHER";
}
