//! The explanation for people.

use super::pool::UNKNOWN;
use super::{Candidate, Explanation};
use std::fmt;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = &self.request;
        let query = asked.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        writeln!(f, "{} {}://{}{}{query}", asked.method, asked.scheme, asked.host, asked.path)?;
        match self.status {
            Some(status) => writeln!(f, "  → {status}: {}", self.outcome)?,
            None => writeln!(f, "  → {}", self.outcome)?,
        }
        self.write_routes(f)?;
        if let Some(service) = &self.service {
            let plugins = if self.plugins.is_empty() { "none".to_owned() } else { self.plugins.join(", ") };
            writeln!(f, "\nservice   {service}\nplugins   {plugins}")?;
        }
        self.write_upstream(f)?;
        if let Some(forward) = &self.forward {
            let host = forward.host.as_deref().unwrap_or("the target's own, as above");
            writeln!(
                f,
                "\nsent on   {} {} over {}\n          Host: {host}",
                asked.method, forward.path, forward.protocol
            )?;
        }
        Ok(())
    }
}

impl Explanation {
    fn write_routes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.routes.is_empty() {
            return Ok(());
        }
        let width = self.routes.iter().map(|route| route.route.chars().count()).max().unwrap_or_default();
        writeln!(f, "\nroutes, in the order in which they are tried")?;
        for route in &self.routes {
            let mark = if route.wins { "✓" } else { "✗" };
            let origin = if route.from_labels { " (from labels)" } else { "" };
            writeln!(f, "  {mark} {:width$}  {}{origin}", route.route, route.why)?;
        }
        if self.more_routes > 0 {
            writeln!(f, "    and {} more, further from matching", self.more_routes)?;
        }
        Ok(())
    }

    fn write_upstream(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(upstream) = &self.upstream else { return Ok(()) };
        writeln!(f, "\nupstream  {} ({})", upstream.name, upstream.algorithm)?;
        let width_of = |of: fn(&Candidate) -> &str| {
            upstream.targets.iter().map(|target| of(target).chars().count()).max().unwrap_or_default()
        };
        let (name, state) = (width_of(|target| &target.target), width_of(|target| &target.state));
        for target in &upstream.targets {
            let causes =
                if target.causes.is_empty() { String::new() } else { format!(" ({})", target.causes.join(", ")) };
            let replica = if target.replica == target.target { "" } else { &target.replica };
            let address = if target.address == target.target { "" } else { &target.address };
            write!(f, "  {:name$}  {:state$}{causes}  weight {}", target.target, target.state, target.weight)?;
            // Without a gateway, nobody has any in flight.
            if target.state != UNKNOWN {
                write!(f, "  in flight {}", target.in_flight)?;
            }
            for more in [address, replica].into_iter().filter(|text| !text.is_empty()) {
                write!(f, "  {more}")?;
            }
            writeln!(f)?;
        }
        for problem in &upstream.unresolved {
            writeln!(f, "  {problem}")?;
        }
        if upstream.targets.is_empty() && upstream.unresolved.is_empty() {
            writeln!(f, "  no targets")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Asked, Considered, Forwarded, PoolView};
    use super::*;

    #[test]
    fn an_explanation_reads_from_top_to_bottom() {
        let considered = |route: &str, wins, why: &str, from_labels| Considered {
            route: route.to_owned(),
            from_labels,
            wins,
            why: why.to_owned(),
        };
        let candidate = |target: &str, state: &str, causes: &[&str]| Candidate {
            target: target.to_owned(),
            replica: target.to_owned(),
            address: target.to_owned(),
            weight: 100,
            state: state.to_owned(),
            causes: causes.iter().map(|cause| (*cause).to_owned()).collect(),
            in_flight: 2,
        };
        let explanation = Explanation {
            request: Asked {
                method: "GET".to_owned(),
                scheme: "http".to_owned(),
                host: "shop.test".to_owned(),
                port: 8000,
                path: "/api/x".to_owned(),
                query: Some("a=1".to_owned()),
            },
            outcome: "goes by the route api to a target of web.shop".to_owned(),
            status: None,
            route: Some("api".to_owned()),
            service: Some("web".to_owned()),
            routes: vec![
                considered("api", true, "matches; its path took 4 bytes of the request's", false),
                considered("fallback", false, "a longer prefix comes first", true),
            ],
            more_routes: 7,
            plugins: Vec::new(),
            upstream: Some(PoolView {
                name: "web.shop".to_owned(),
                algorithm: "round-robin".to_owned(),
                targets: vec![
                    candidate("10.0.0.5:8000", "healthy", &[]),
                    candidate("10.0.0.15:8000", "unhealthy", &["active check", "refused"]),
                ],
                unresolved: Vec::new(),
            }),
            forward: Some(Forwarded { protocol: "http".to_owned(), path: "/x?a=1".to_owned(), host: None }),
        };
        let expected = "\
GET http://shop.test/api/x?a=1
  → goes by the route api to a target of web.shop

routes, in the order in which they are tried
  ✓ api       matches; its path took 4 bytes of the request's
  ✗ fallback  a longer prefix comes first (from labels)
    and 7 more, further from matching

service   web
plugins   none

upstream  web.shop (round-robin)
  10.0.0.5:8000   healthy    weight 100  in flight 2
  10.0.0.15:8000  unhealthy (active check, refused)  weight 100  in flight 2

sent on   GET /x?a=1 over http
          Host: the target's own, as above
";
        assert_eq!(explanation.to_string(), expected);
        let json = serde_json::to_string(&explanation).unwrap();
        assert_eq!(serde_json::from_str::<Explanation>(&json).unwrap(), explanation);
    }
}
