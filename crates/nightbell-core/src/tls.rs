//! What can be wrong with TLS to a server, in the same words wherever it is met, and what helps against it.

words! {
    /// What is wrong with a server's certificate, or with its TLS. Each cure was tried.
    pub enum TlsFault {
        /// Nobody that we trust issued it: a private authority, or one whose intermediate certificate the server keeps back.
        UnknownIssuer = "certificate not trusted: its issuer is not known",
        /// It is its own issuer.
        SelfSigned = "certificate not trusted: it is signed by itself",
        /// It is a certificate for issuing others.
        AuthoritysOwn = "certificate not trusted: it is an authority's own",
        /// Its time is over, or that of one between it and its authority.
        Expired = "certificate not trusted: it has expired",
        /// Its time has not come, or that of one between it and its authority.
        NotYetValid = "certificate not trusted: it is not valid yet",
        /// It is made out to another name.
        OtherName = "certificate not trusted: it is made out to another name",
        /// It is of a version from before 1996.
        OldVersion = "certificate not trusted: it is not of X.509 version 3",
        /// It is for another use, as for a client.
        OtherUse = "certificate not trusted: it is not for a server",
        /// Its signature is of a kind that is not taken, such as SHA-1.
        OldSignature = "certificate not trusted: its signature is of a kind that is not taken",
        /// Its authority took it back.
        Revoked = "certificate not trusted: it was revoked",
        /// Something else is wrong with it.
        Invalid = "certificate not trusted: it is not valid",
        /// The server speaks TLS 1.1 at the most.
        OldTls = "TLS failed: the server speaks neither TLS 1.2 nor 1.3",
        /// What answers speaks something else.
        NoTls = "TLS failed: the server does not speak TLS",
        /// The server wants to see a certificate of ours.
        ClientCertificateWanted = "TLS failed: the server asks for a client certificate",
    }
}

impl TlsFault {
    /// What is wrong.
    #[must_use]
    pub fn words(self) -> &'static str {
        self.as_str()
    }

    /// What helps.
    #[must_use]
    pub fn cure(self) -> &'static str {
        match self {
            Self::UnknownIssuer => {
                "put the certificate of the authority that issued it into `ca_file` (if a proxy opens TLS, the proxy's \
                 authority); if a public authority did, the server keeps its intermediate certificate back: put that one \
                 there, or let the server's owner add it"
            }
            Self::SelfSigned => "put the server's certificate itself into `ca_file`",
            Self::AuthoritysOwn => {
                "`ca_file` does not help: the server's owner must give it a certificate of its own, made without \
                 `CA:TRUE`; until then only `tls.verification = \"none\"` gets through"
            }
            Self::Expired => {
                "`ca_file` does not help: the server's owner must renew it, or the one that issued it; first see that this \
                 machine's clock is right"
            }
            Self::NotYetValid => {
                "`ca_file` does not help: see that this machine's clock is right; else wait, or let the server's owner \
                 replace it"
            }
            Self::OtherName => {
                "`ca_file` does not help: use the name in the URL that it is made out to, or let the server's owner add \
                 this one (as subjectAltName); `tls.verification = \"certificate\"` asks for no name"
            }
            Self::OldVersion => {
                "neither `ca_file` nor `tls.verification` helps: the server's owner must replace it by one of version 3, \
                 with the server's name as subjectAltName"
            }
            Self::OtherUse => {
                "`ca_file` does not help: the server's owner must replace it by one for servers (extendedKeyUsage \
                 serverAuth)"
            }
            Self::OldSignature => {
                "`ca_file` does not help: the server's owner must replace it by one that is signed with SHA-256 and a key \
                 of 2048 bits, or better"
            }
            Self::Revoked | Self::Invalid => "`ca_file` does not help: the server's owner must replace it",
            Self::OldTls => "nothing helps here: the server's owner must switch TLS 1.2 or 1.3 on",
            Self::NoTls => {
                "see that the port in the URL speaks TLS; if it is one for plain connections, write `http://` in place of \
                 `https://`, which is taken for private addresses only"
            }
            Self::ClientCertificateWanted => "show one with `client_certificate`",
        }
    }

    /// The fault that a text tells of, in its own words.
    #[must_use]
    pub fn told_in(text: &str) -> Option<Self> {
        // The longest: one may begin like another.
        Self::ALL
            .into_iter()
            .filter(|fault| text.contains(fault.words()))
            .max_by_key(|fault| fault.words().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_found_by_its_words() {
        for fault in TlsFault::ALL {
            let text = format!("through the proxy: {} (alert)", fault.words());
            assert_eq!(TlsFault::told_in(&text), Some(fault));
        }
        assert_eq!(TlsFault::told_in("connection refused"), None);
    }
}
