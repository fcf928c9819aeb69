//! Accept-Encoding (RFC 9110 §12.5.3, §12.4.2): looks each weight up in a list of all that there are.

use std::collections::HashMap;

use http_core::negotiate::Choice;

pub(crate) struct Reader {
    /// Each `qvalue`, in thousandths.
    qvalues: HashMap<String, u32>,
}

impl Reader {
    /// `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )`
    pub(crate) fn new() -> Reader {
        let mut qvalues: HashMap<String, u32> =
            ["1", "1.", "1.0", "1.00", "1.000"].map(|one| (one.to_string(), 1000)).into();
        qvalues.extend(["0", "0."].map(|zero| (zero.to_string(), 0)));
        qvalues.extend((0..10).map(|tenths| (format!("0.{tenths}"), 100 * tenths)));
        qvalues.extend((0..100).map(|hundredths| (format!("0.{hundredths:02}"), 10 * hundredths)));
        qvalues.extend((0..1000).map(|thousandths| (format!("0.{thousandths:03}"), thousandths)));
        Reader { qvalues }
    }

    /// The acceptable coding with the greatest weight. A tie goes to the first, and to a coding over none.
    pub(crate) fn choose(&self, list: &str, available: &[&str]) -> Choice {
        // The first element that names a coding counts, and malformed ones do not (see `content_coding`).
        let accepted: Vec<_> = list.split(',').filter_map(|element| self.element(element)).collect();
        let named = |coding: &str| accepted.iter().find(|(name, _)| *name == plain(coding)).map(|&(_, weight)| weight);
        // "identity" is acceptable unless excluded by itself or by "*", and a listed coding unless its weight is 0.
        let identity = named("identity").or(named("*").filter(|&weight| weight == 0));
        let mut best = (identity.unwrap_or(0), Choice::Identity);
        if identity == Some(0) {
            best.1 = Choice::NotAcceptable;
        }
        for (place, coding) in available.iter().enumerate().rev() {
            let weight = named(coding).or(named("*")).unwrap_or(0);
            if weight > 0 && weight >= best.0 {
                best = (weight, Choice::Coded(place));
            }
        }
        best.1
    }

    /// `codings [ OWS ";" OWS "q=" qvalue ]`
    fn element(&self, element: &str) -> Option<(String, u32)> {
        let ows = [' ', '\t'];
        let (coding, weight) = match element.trim_matches(ows).split_once(';') {
            None => (element.trim_matches(ows), 1000),
            Some((coding, weight)) => {
                let qvalue = weight.trim_start_matches(ows).to_ascii_lowercase();
                (coding.trim_end_matches(ows), *self.qvalues.get(qvalue.strip_prefix("q=")?)?)
            }
        };
        let is_token =
            !coding.is_empty() && coding.bytes().all(|c| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c));
        is_token.then(|| (plain(coding), weight))
    }
}

/// R1945-3.5: two old names.
fn plain(coding: &str) -> String {
    match coding.to_ascii_lowercase().as_str() {
        "x-gzip" => "gzip".into(),
        "x-compress" => "compress".into(),
        coding => coding.into(),
    }
}
