//! Reads Prometheus text, as far as the gateway's metrics need.

/// The sum of the series of `metric` whose labels include all of `labels`; `None` where there is no such series.
#[must_use]
pub fn value(text: &str, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let series = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, have) = series.split_once('{').unwrap_or((series, ""));
        let all = labels.iter().all(|(key, value)| have.contains(&format!("{key}=\"{value}\"")));
        (name == metric && all).then(|| value.parse::<f64>().ok())?
    });
    series.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_some_of_their_labels_and_added_up() {
        let text = "# TYPE requests counter\nrequests{service=\"a\",code=\"200\"} 3\nrequests{service=\"a\",code=\"404\"} 1\n\
                    requests{service=\"b\",code=\"200\"} 5\nup 1\n";
        let check = |metric, labels: &[(&str, &str)], expected| assert_eq!(value(text, metric, labels), expected);
        check("requests", &[], Some(9.0));
        check("requests", &[("service", "a")], Some(4.0));
        check("requests", &[("code", "200"), ("service", "b")], Some(5.0));
        check("requests", &[("service", "c")], None);
        check("up", &[], Some(1.0));
        check("request", &[], None);
    }
}
